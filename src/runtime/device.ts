import { processor } from '#platform'
import type { Target } from '../compiler/target.js'
import type { Tuned } from '../compiler/use.js'
import { LatentkitError } from '../platform/errors.js'
import { hoist } from '../tensor/hoist.js'
import type { Program } from '../tensor/program.js'
import { compileModel } from './compile.js'
import { checkNumbers, isFaster, largestBuffer, WrongNumbersError } from './device-check.js'
import type { DeviceHost } from './device-host.js'
import { RemoteEngine } from './engine/remote-engine.js'
import { type Executable, makeExecutable } from './executable.js'
import { joinProcesses, onlyProcess, type Processes } from './processes.js'
import { type StartingParameter, type StateOptions, TrainingState } from './state/training.js'
import { type TunedUse, type TuneOptions, tunedFrom, tuneProgram } from './tuning/tune.js'
import { readTuning } from './tuning/tuning-cache.js'
import type { Weights } from './weights/numbers.js'
import type { WeightPrecision } from './weights/precision.js'

/** Where programs can run. `wasm` is the WebAssembly build, also in Node; `auto` picks the best that is there. */
export type DeviceName = 'cpu' | 'wasm' | 'webgpu' | 'cuda' | 'directml' | 'coreml'

/** What a device may take. */
export interface DeviceOptions {
  /** Threads of an execution on the processor; all by default. */
  readonly threads?: number
  /** Bytes that programs may take on a graphics card; by default the machine's whole memory, where that is known. */
  readonly memory?: number
  /** Computes in f64 on the processor: several times slower, to tell rounding from mistakes. f32 otherwise. */
  readonly precision?: 'f32' | 'f64'
  /**
   * Bytes that the weights of a program may take beyond their size, so that convolutions are faster on the processor: by
   * default 24 MiB, of large networks a fiftieth of their weights but 64 MiB at most; 0 for least memory. Stable
   * Diffusion's UNet has use for 3.1 GiB.
   */
  readonly weightGrowth?: number
}

/** What a program is compiled with. */
export interface ExecutableOptions {
  readonly weights?: Weights
  /**
   * In how many bits the weights are held in memory, `file` as they are stored; float32 by default. Smaller ones are made
   * float32 where they are used, which costs every run a tenth of its time or more.
   */
  readonly precision?: WeightPrecision | undefined
  /** Inputs that rarely change: what is made of them alone is computed again only where they did. */
  readonly steady?: readonly string[] | undefined
}

/** A worker thread with the sessions and training states in it. */
export class Device implements AsyncDisposable {
  readonly name: DeviceName
  readonly #host: DeviceHost
  readonly #measured: Tuned | undefined
  #processes = onlyProcess

  private constructor(name: DeviceName, host: DeviceHost) {
    this.name = name
    this.#host = host
    this.#measured = host.target.tuned
  }

  static async open(name: DeviceName, options: DeviceOptions): Promise<Device> {
    const { threads = processor().threads, memory = processor().memory || Number.POSITIVE_INFINITY } = options
    const double = options.precision === 'f64'
    if (double && name !== 'cpu') throw new RangeError(`The device "${name}" does not compute in f64, only "cpu" does`)
    const engine = new RemoteEngine()
    try {
      const { native, largestBuffer: buffer } = await engine.call('open', [name, threads])
      const kind: Target['device'] = name === 'webgpu' ? name : native ? 'cpu' : 'wasm'
      const tuned = tunedFrom(await readTuning(name))
      const target = { device: kind, contrib: !double, double, weightGrowth: options.weightGrowth, tuned }
      const host: DeviceHost = { name, engine, target, filesOnDisk: native }
      const device = new Device(name, host)
      if (name !== 'cpu' && name !== 'wasm') await checkNumbers(device)
      if (name === 'webgpu') host.limits = { buffer: buffer ?? (await largestBuffer(device)), total: memory }
      return device
    } catch (error) {
      await engine.terminate()
      throw error instanceof WrongNumbersError ? error : absent(name, error)
    }
  }

  /**
   * Compiles a program for inference, with its weights as part of it.
   *
   * @throws LatentkitError where a weight is missing or the program is too large for the device.
   * @example
   * const run = await device.compile(program, { weights: file.tensors })
   * const { output } = await run({ x: hostTensor(numbers, [1, 4, 16, 16]) })
   */
  async compile(
    program: Program,
    { weights = new Map(), precision, steady = [] }: ExecutableOptions = {},
  ): Promise<Executable> {
    // A graphics card computes again faster than it is handed what is kept.
    const parts = this.name === 'cpu' || this.name === 'wasm' ? hoist(program, steady) : undefined
    const compiled = (part: Program) =>
      compileModel(this.#host, part, { training: false, weights, precision, network: program })
    const model = await compiled(parts?.each ?? program)
    if (parts === undefined) return makeExecutable(this.#host, program, model)
    const ahead = { model: (await compiled(parts.once)).model, inputs: Object.keys(parts.once.inputs) }
    return makeExecutable(this.#host, program, model, { ahead })
  }

  /** Puts parameters into a training state. */
  async state(parameters: readonly StartingParameter[], options: StateOptions): Promise<TrainingState> {
    return TrainingState.create(this.#host, parameters, options)
  }

  /**
   * Measures what the operations of a program can be lowered to, and with its gradients those of a training step: the
   * fastest for each use, as it comes out. Kept by `writeTuning`, devices opened later take it.
   */
  tune(program: Program, options: TuneOptions = {}): AsyncGenerator<TunedUse> {
    return tuneProgram(this.#host, program, options)
  }

  /** How uses of operations are lowered here where it was measured; programs compiled from now on take it. */
  get tuned(): Tuned {
    return this.#host.target.tuned ?? {}
  }

  /** Has programs that are compiled from now on take other choices; none are the ones that were measured here. */
  useTuned(tuned: Tuned | undefined): void {
    this.#host.target = { ...this.#host.target, tuned: tuned ?? this.#measured }
  }

  /** The processes that train together: this one alone until it has joined others. */
  get processes(): Processes {
    return this.#processes
  }

  /**
   * Joins the processes that mpirun started with this one, if it did: training states average their gradients over all
   * of them from then on. One device of a process can do so, once.
   *
   * @throws LatentkitError where Open MPI or the package koffi is missing; it says what to install.
   */
  async join(): Promise<Processes> {
    this.#processes = await joinProcesses(this.#host.engine)
    return this.#processes
  }

  /** Frees everything on the device and ends its thread. */
  async dispose(): Promise<void> {
    await this.#host.engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }
}

/** What must be there for a device to open. */
const needs: Readonly<Record<DeviceName, string>> = {
  cpu: 'onnxruntime-node has binaries for Linux (glibc), Windows, and macOS on Apple silicon; elsewhere use the device "wasm"',
  wasm: 'It needs WebAssembly with vector instructions: a browser of 2023 or later, or Node 20',
  webgpu:
    'It needs a graphics card with a driver for Vulkan (Linux x64; the package libvulkan1 as well), Direct3D 12 (Windows) or Metal (macOS); in a browser, WebGPU switched on. Else use the device "cpu"',
  cuda: 'It needs Linux x64 with an NVIDIA driver, CUDA 12 and cuDNN 9, and onnxruntime-node\'s CUDA files: npm rebuild onnxruntime-node --ignore-scripts=false --onnxruntime-node-install=cuda12. Else use the device "webgpu" or "cpu"',
  directml: 'It needs Windows and a graphics card for Direct3D 12; elsewhere use the device "webgpu" or "cpu"',
  coreml: 'It needs macOS; elsewhere use the device "webgpu" or "cpu"',
}

function absent(name: DeviceName, cause: unknown): LatentkitError {
  const message = cause instanceof Error ? cause.message.trim() : String(cause)
  // onnxruntime's own messages begin with its file and function.
  const reason = message.replace(/^\/onnxruntime_src\/.*?( was false\. |\[ONNXRuntimeError\] : \d+ : \w+ : )/s, '')
  return new LatentkitError(`Cannot open the device ${name}: ${reason}. ${needs[name]}`, { cause })
}

/**
 * Opens a device; dispose of it when done. `auto` opens the fastest that is there.
 *
 * @throws LatentkitError where the device is absent (it says what to install) or computes wrong numbers.
 * @example
 * await using device = await openDevice('cpu', { threads: 2 })
 */
export async function openDevice(name: DeviceName | 'auto', options: DeviceOptions = {}): Promise<Device> {
  if (name !== 'auto' && !Object.hasOwn(needs, name)) {
    throw new RangeError(`There is no device "${name}": choose auto or one of ${Object.keys(needs).join(', ')}`)
  }
  return name === 'auto' ? fastestDevice(options) : Device.open(name, options)
}

/** The first device, from the most likely on, that is faster than the processor. */
async function fastestDevice(options: DeviceOptions): Promise<Device> {
  const cpu = await Device.open('cpu', options)
  for (const name of ['cuda', 'directml', 'webgpu'] as const) {
    const device = await Device.open(name, options).catch(() => undefined)
    if (device === undefined) continue
    // Software renderers, such as Mesa's and SwiftShader, open as well as a card does.
    const [better, other] = (await isFaster(device, cpu)) ? [device, cpu] : [cpu, device]
    await other.dispose()
    if (better === device) return device
  }
  return cpu
}
