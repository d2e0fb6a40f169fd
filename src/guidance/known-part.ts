import { combine, type Level, type Parameterization, target, toEpsilon, toX0 } from '../diffusion/index.js'

/** A part of pictures that is to stay. */
export interface KnownPart {
  /** The original, [batch, channels, height, width]. */
  readonly x0: Float32Array
  /** As many numbers, or one for each position of each image, [batch, 1, height, width]: 1 keeps the original, 0 paints anew. */
  readonly mask: Float32Array
  readonly shape: readonly [number, number, number, number]
  /** Draws unit normals as many as x0 has elements. */
  readonly noise: () => Float32Array
}

/**
 * Inpainting with a model that was not trained for it: before a step the known part is replaced by the original, noised
 * to that step's level. Source: latent-diffusion, ldm/models/diffusion/ddim.py, ddim_sampling.
 */
export function keepKnown({ x0, mask, shape, noise }: KnownPart): (x: Float32Array, level: Level) => Float32Array {
  const [, channels, height, width] = shape
  const area = height * width
  const one = mask.length * channels === x0.length
  if (!one && mask.length !== x0.length) {
    throw new RangeError(
      `Cannot keep a part of latents [${shape.join(', ')}]: the mask has ${mask.length} numbers, wanted one for each position or element`,
    )
  }
  const maskAt = (i: number) => mask[one ? Math.floor(i / (channels * area)) * area + (i % area) : i]!
  return (x, { alpha, sigma }) => {
    const original = combine(alpha, x0, sigma, noise())
    return x.map((value, i) => original[i]! * maskAt(i) + value * (1 - maskAt(i)))
  }
}

/** What a prediction for a batch stands on, and the known part of each of its images. */
export interface KnownPrediction {
  /** [batch, channels, height, width]. */
  readonly x: Float32Array
  readonly level: Level
  readonly parameterization: Parameterization
  readonly shape: readonly [number, number, number, number]
  /** The originals, [batch, channels, height, width]. */
  readonly x0: Float32Array
  /** 1 keeps the original, 0 paints anew, [height, width]. */
  readonly kept: Float32Array
}

/**
 * The same for any sampler: the prediction says of the known part that its image is the original, so that every step, of
 * whatever order, leads there from the noise that x holds. Source: stable-diffusion-webui, modules/sd_samplers_cfg_denoiser.py,
 * CFGDenoiser.forward, where the mask is applied to the denoised latent.
 */
export function knownPrediction(
  prediction: Float32Array,
  { x, level, parameterization, shape, x0, kept }: KnownPrediction,
): Float32Array {
  const [, , height, width] = shape
  const known = target(x0, toEpsilon(x0, x, level, 'x0'), level, parameterization)
  const area = height * width
  return prediction.map((value, i) => {
    const share = kept[i % area]!
    return share * known[i]! + (1 - share) * value
  })
}

/** A prediction for one batch, as that for another at the level which says the same image, or the same noise. */
export function carried(
  prediction: Float32Array,
  { from, to, level, parameterization, holds }: Carriage,
): Float32Array {
  if (holds === 'image') {
    const x0 = toX0(prediction, from, level, parameterization)
    return target(x0, toEpsilon(x0, to, level, 'x0'), level, parameterization)
  }
  const epsilon = toEpsilon(prediction, from, level, parameterization)
  return target(toX0(epsilon, to, level, 'epsilon'), epsilon, level, parameterization)
}

interface Carriage {
  readonly from: Float32Array
  readonly to: Float32Array
  readonly level: Level
  readonly parameterization: Parameterization
  readonly holds: 'image' | 'noise'
}
