import type * as ort from 'onnxruntime-common'

/** What latentkit uses of the runtime's packages. */
export interface OnnxRuntime {
  readonly InferenceSession: typeof ort.InferenceSession
  readonly Tensor: typeof ort.Tensor
  /** Whether tensors that are handed in for outputs are filled; else results come in new memory only. */
  readonly fillsOutputs: boolean
}
