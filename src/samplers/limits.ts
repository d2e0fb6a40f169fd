import { quantileOfSizes } from '../diffusion/index.js'
import { scale } from './model.js'

/*
 * What keeps predicted images in the range of images: functions of a whole batch x0, row-major. Dynamic thresholding is
 * for pixels; latents have no fixed range, for them there are the two by norm.
 */

/** Clips predicted images to [-range, range]. */
export function clipTo(range: number): (x0: Float32Array) => Float32Array {
  return x0 => x0.map(value => Math.min(Math.max(value, -range), range))
}

/** Dynamic thresholding (Saharia et al. 2022, section 2.3): each image of the batch is clipped to its quantile
 * of absolute values, between 1 and `max`, and divided by it. */
export function dynamicThreshold(ratio: number, max: number, images: number): (x0: Float32Array) => Float32Array {
  return x0 => {
    const out = new Float32Array(x0.length)
    const size = x0.length / images
    for (let start = 0; start < x0.length; start += size) {
      const image = x0.subarray(start, start + size)
      const s = Math.min(Math.max(quantileOfSizes(image, ratio), 1), max)
      out.set(scale(clipTo(s)(image), 1 / s), start)
    }
    return out
  }
}

/** Images whose root mean square is above `limit` are scaled down to it. Source: stablediffusion, sampling_util.py. */
export function limitNorm(limit: number, images: number): (x0: Float32Array) => Float32Array {
  return x0 => {
    const size = x0.length / images
    return limited(x0, limit, i => Math.floor(i / size), images)
  }
}

/** The same for each position by itself, over its channels; `shape` is [batch, channels, height, width]. */
export function limitSpatialNorm(
  limit: number,
  [batch, channels, height, width]: readonly [number, number, number, number],
): (x0: Float32Array) => Float32Array {
  const area = height * width
  const groupOf = (i: number) => Math.floor(i / (channels * area)) * area + (i % area)
  return x0 => limited(x0, limit, groupOf, batch * area)
}

function limited(x0: Float32Array, limit: number, groupOf: (i: number) => number, groups: number): Float32Array {
  const squares = new Float64Array(groups)
  for (let i = 0; i < x0.length; i++) squares[groupOf(i)]! += x0[i]! ** 2
  const size = x0.length / groups
  return x0.map((value, i) => value * (limit / Math.max(Math.sqrt(squares[groupOf(i)]! / size), limit)))
}
