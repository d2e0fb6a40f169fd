import { conv2d } from '../nn/conv.js'
import { relu } from '../tensor/activation.js'
import { maxPool2d } from '../tensor/pool.js'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'

/** Convolutions of each stage; a maximum of 2x2 pixels stands before all but the first. */
const STAGES = [2, 2, 3, 3, 3] as const

/** Channels of the published network's stages. */
export const VGG16_WIDTHS: readonly number[] = [64, 128, 256, 512, 512]

/**
 * VGG16 (Simonyan and Zisserman 2015) of scaled pixels [batch, 3, h, w]: the last activations of its five stages, at 1 to
 * 1/16 of the size. Parameters as torchvision's `features` count them; `widths` are the channels of each stage.
 */
export function vgg16Features(at: Scope, pixels: Tensor, widths: readonly number[] = VGG16_WIDTHS): Tensor[] {
  let h = pixels
  let layer = 0
  return STAGES.map((convolutions, stage) => {
    if (stage > 0) {
      h = maxPool2d(h, { kernel: 2 })
      layer++
    }
    for (let i = 0; i < convolutions; i++) {
      h = relu(conv2d(at(`features.${layer}`), h, { out: widths[stage]!, kernel: 3 }))
      layer += 2 // the convolution and its ReLU
    }
    return h
  })
}
