import { add, div, mul, sub } from '../tensor/binary.js'
import { mean } from '../tensor/reduce.js'
import type { Tensor } from '../tensor/tensor.js'
import { abs, exp, square } from '../tensor/unary.js'

export interface Reconstructed {
  /** [batch, c, h, w], in [-1, 1]. */
  images: Tensor
  reconstructions: Tensor
  /** Perceptual distance of the two, [batch]. */
  distance?: Tensor | undefined
}

/** How far reconstructions are from their images: means over elements, which mean the same at any size. */
export interface ReconstructionError {
  /** Pixels plus weighted perceptual distance. */
  error: Tensor
  /** Mean absolute or squared difference of pixels. */
  pixels: Tensor
  /** Mean perceptual distance. */
  perceptual?: Tensor
}

export function reconstructionError(
  { images, reconstructions, distance }: Reconstructed,
  { pixelLoss = 'l1', perceptualWeight }: { pixelLoss?: 'l1' | 'l2'; perceptualWeight: number },
): ReconstructionError {
  const difference = sub(images, reconstructions)
  const pixels = mean(pixelLoss === 'l1' ? abs(difference) : square(difference))
  if (distance === undefined) return { error: pixels, pixels }
  const perceptual = mean(distance)
  return { error: add(pixels, mul(perceptual, perceptualWeight)), pixels, perceptual }
}

/**
 * Negative log likelihood of a sample of `elements` numbers whose mean error is given, under a Laplacian of that log
 * variance; with one element it is an error in proportion. Source: contperceptual.py, LPIPSWithDiscriminator.
 */
export const likelihood = (error: Tensor, elements: number, logvar: Tensor): Tensor =>
  mul(add(div(error, exp(logvar)), logvar), elements)
