import type { Program } from '../tensor/program.js'
import type { CompiledModel } from './compile.js'
import type { DeviceHost } from './device-host.js'
import type { ModelSpec } from './engine/engine-calls.js'
import { checkInputs, type HostTensor, type HostTensors } from './host-tensor.js'

export interface RunOptions {
  /** Aborted before the execution has begun, the run is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** A compiled program: call it with its inputs. */
export interface Executable extends AsyncDisposable {
  /**
   * Runs the program; the inputs are copied and may be reused at once.
   *
   * @throws TypeError and RangeError for inputs that do not fit.
   */
  (inputs: HostTensors, options?: RunOptions): Promise<Record<string, HostTensor>>
  readonly program: Program
  /** Frees its memory; later runs are rejected. */
  dispose(): Promise<void>
}

/** Makes a session in the worker and hands it out as a function. */
export async function makeExecutable(
  { engine }: DeviceHost,
  program: Program,
  { model, checkSize }: CompiledModel,
  more: Pick<ModelSpec, 'state' | 'ahead'> = {},
): Promise<Executable> {
  const session = await engine.call('createSession', [{ ...model, ...more }])
  const run = async (inputs: HostTensors, { signal }: RunOptions = {}) => {
    checkInputs(inputs, program.inputs)
    checkSize(inputs)
    return engine.call('run', [session, copied(inputs)], signal)
  }
  const dispose = () => engine.callUnlessDead('releaseSession', [session])
  return Object.assign(run, { program, dispose, [Symbol.asyncDispose]: dispose })
}

/** Copies, which may move to the worker. */
export const copied = (inputs: HostTensors): HostTensors =>
  Object.fromEntries(Object.entries(inputs).map(([name, t]) => [name, { ...t, data: t.data.slice() } as HostTensor]))
