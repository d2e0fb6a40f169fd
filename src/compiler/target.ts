import type { Tuned } from './use.js'

/** What a program is compiled for; lowerings choose by it. */
export interface Target {
  readonly device: 'cpu' | 'wasm' | 'webgpu'
  /** Parameters are fed in every run (training) instead of being part of the model, where the runtime can pre-pack them. */
  readonly training: boolean
  /** Whether the runtime's own operators (com.microsoft) may be used besides the standard ones. */
  readonly contrib: boolean
  /** How many channels the runtime's own convolutions on the processor take side by side, where they do. */
  readonly channelBlock?: number | undefined
  /** Computes f32 in f64, between f32 inputs and outputs: slow, to tell rounding from mistakes. */
  readonly double?: boolean
  /** Multiplies in f16 where that is short enough a sum: for devices that are faster so. */
  readonly half?: boolean | undefined
  /** Bytes by which constant weights may grow for faster convolutions; as `transformConstantWeights` has it where it is left out. */
  readonly weightGrowth?: number | undefined
  /** Weights are held in fewer bits and made float32 in every run: another form of them costs time, but no memory to keep. */
  readonly smallWeights?: boolean | undefined
  /** Weights are so many that what is made of them is made in every run where it can be, rather than kept. */
  readonly largeWeights?: boolean | undefined
  /** The fastest lowering by use, where it was measured. */
  readonly tuned?: Tuned | undefined
}
