import { processor } from '#platform'
import type { Target } from '../compiler/target.js'
import type { Program } from '../tensor/program.js'
import { compileModel } from './compile.js'
import { type Executable, makeExecutable } from './executable.js'
import { RemoteEngine } from './remote-engine.js'
import { type StartingParameter, type StateOptions, type TrainingHost, TrainingState } from './training.js'
import type { WeightSource } from './weights.js'

/** Where programs can run. `wasm` is the WebAssembly build, also in Node; `auto` picks the best that is there. */
export type DeviceName = 'cpu' | 'wasm' | 'webgpu' | 'cuda' | 'directml' | 'coreml'

export interface DeviceOptions {
  /** Threads of an execution on the processor; all by default. */
  readonly threads?: number
}

/** A worker thread with the sessions and training states in it. */
export class Device implements AsyncDisposable {
  readonly name: DeviceName
  readonly #host: TrainingHost

  private constructor(name: DeviceName, host: TrainingHost) {
    this.name = name
    this.#host = host
  }

  static async open(name: DeviceName, { threads = processor().threads }: DeviceOptions): Promise<Device> {
    const engine = new RemoteEngine()
    const kind: Target['device'] = name === 'webgpu' || name === 'wasm' ? name : 'cpu'
    await engine.call('open', [name, threads])
    return new Device(name, { engine, target: { device: kind, contrib: true }, filesOnDisk: name !== 'wasm' })
  }

  /**
   * Compiles a program for inference, with its weights as part of it.
   *
   * @example
   * const run = await device.compile(program, { weights: file.tensors })
   * const { output } = await run({ x: hostTensor(numbers, [1, 4, 16, 16]) })
   */
  async compile(program: Program, { weights = new Map() }: { weights?: WeightSource } = {}): Promise<Executable> {
    const { engine, target, filesOnDisk } = this.#host
    const model = await compileModel(program, {
      target: { ...target, training: false },
      weights,
      fed: new Set(),
      filesOnDisk,
    })
    return makeExecutable(engine, program, model)
  }

  /** Puts parameters into a training state. */
  async state(parameters: readonly StartingParameter[], options: StateOptions): Promise<TrainingState> {
    return TrainingState.create(this.#host, parameters, options)
  }

  /** Frees everything on the device and ends its thread. */
  async dispose(): Promise<void> {
    await this.#host.engine.callUnlessDead('close', [])
    await this.#host.engine.terminate()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }
}

/**
 * Opens a device; dispose of it when done.
 *
 * @example
 * await using device = await openDevice('cpu', { threads: 2 })
 */
export async function openDevice(name: DeviceName | 'auto', options: DeviceOptions = {}): Promise<Device> {
  return Device.open(name === 'auto' ? 'cpu' : name, options)
}
