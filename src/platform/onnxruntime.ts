import type * as ort from 'onnxruntime-common'

/** What latentkit uses of the runtime's packages. */
export interface OnnxRuntime {
  readonly InferenceSession: typeof ort.InferenceSession
  readonly Tensor: typeof ort.Tensor
  /** Providers that this build knows; their libraries may be missing all the same. */
  readonly providers: readonly string[]
  /** Whether it is the native build: it fills tensors that are handed in for outputs, WebAssembly does not. */
  readonly native: boolean
  /** Bytes of the largest buffer on the device where the host tells. */
  readonly largestBuffer?: number
}
