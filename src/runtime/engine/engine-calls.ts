import type { WorldPlace } from '../../platform/types.js'
import type { HostTensors } from '../host-tensor.js'
import type { StateUse } from '../state/engine-state.js'

/** A model for a session. */
export interface ModelSpec {
  readonly bytes: Uint8Array
  /** Weights in memory, by the file name that the model gives them. */
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[]
  /** The folder of the weight files that the model names. */
  readonly folder: string | undefined
  /** Whether its operations and their order are as they should be: the runtime's optimiser must not touch them. */
  readonly settled: boolean
  /** Whether the model computes in f64. */
  readonly double: boolean
  readonly state?: StateUse
  /** Weights that stay in memory as they are and are fed in every run: the runtime makes no copy of these. */
  readonly held?: HostTensors
  /** Makes inputs of this model of inputs that rarely change: it is run only where they did. */
  readonly ahead?: AheadSpec
  /** Outputs that stay in the device's memory. */
  readonly onDevice?: readonly string[]
}

/** A model that runs ahead of another, and the names of the inputs that it takes. */
export interface AheadSpec {
  readonly model: ModelSpec
  readonly inputs: readonly string[]
}

/** Flat arrays over the same parameters, and what updates them. */
export interface StateSpec {
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[]
  /** Arrays that an update reads and, but for the gradient, writes; in the kernel's order. */
  readonly arrays: readonly string[]
  /** Names of an update's scalars, in the kernel's order. */
  readonly scalars: readonly string[]
  /** WebAssembly over arrays in the processor's memory, or graphs over arrays in the device's. */
  readonly update: { readonly kernel: Uint8Array<ArrayBuffer> } | { readonly graphs: StateGraphs }
}

/** Models of a state in a device's memory, and its layout: floats of a chunk, and what chunks are multiples of. */
export interface StateGraphs {
  readonly update: Uint8Array
  readonly accumulate: Uint8Array
  readonly sumOfSquares: Uint8Array
  readonly copy: Uint8Array
  readonly limit: number
  readonly alignment: number
}

/** What the worker knows of the device that it opened. */
export interface OpenedDevice {
  /** Whether it is onnxruntime's native build, not WebAssembly. */
  readonly native: boolean
  /** Bytes of the largest buffer where the host tells. */
  readonly largestBuffer?: number
}

/** What the caller's thread asks of the worker. */
export interface EngineCalls {
  open(device: string, threads: number): Promise<OpenedDevice>
  /** Releases everything. */
  close(): Promise<void>
  createSession(model: ModelSpec): Promise<number>
  run(session: number, inputs: HostTensors): Promise<HostTensors>
  /** Runs a training session and adds `scale` times its gradients to the state's. */
  accumulate(session: number, inputs: HostTensors, scale: number): Promise<HostTensors>
  releaseSession(session: number): Promise<void>
  createState(spec: StateSpec): Promise<number>
  writeState(state: number, array: string, values: ReadonlyMap<string, Float32Array>): Promise<void>
  /** An array of the named parameters, of all by default. */
  readState(state: number, array: string, names?: readonly string[]): Promise<Map<string, Float32Array<ArrayBuffer>>>
  copyState(state: number, from: string, to: string): Promise<void>
  /** Makes an array that of process 0. */
  broadcastState(state: number, array: string): Promise<void>
  /** Divides gradients by `lossScale`, averages them over all processes, clips and updates; returns their norm. Where that is not finite nothing changes. */
  updateState(
    state: number,
    scalars: Readonly<Record<string, number>>,
    clip: number | undefined,
    lossScale: number,
  ): Promise<number>
  releaseState(state: number): Promise<void>
  /** Joins the processes that train together. */
  joinWorld(): Promise<WorldPlace>
  /** The sums of numbers over all processes. */
  sum(numbers: Float64Array<ArrayBuffer>): Promise<Float64Array<ArrayBuffer>>
  barrier(): Promise<void>
  interruptWorld(): Promise<void>
  isHeir(): Promise<boolean>
  leaveWorld(): Promise<void>
}

export type EngineMethod = keyof EngineCalls

export interface Request {
  readonly id: number
  readonly method: EngineMethod
  readonly args: readonly unknown[]
}

export type Reply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } }

/** The buffers of the arrays in a message, each once, so that they can move to the other thread. */
export function buffersIn(value: unknown, found = new Set<ArrayBuffer>()): Set<ArrayBuffer> {
  if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer) found.add(value.buffer)
  } else if (value instanceof Map || Array.isArray(value)) {
    for (const item of value.values()) buffersIn(item, found)
  } else if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) buffersIn(item, found)
  }
  return found
}
