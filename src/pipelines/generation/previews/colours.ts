import { solveLinear } from '../../../diffusion/index.js'
import { type Image, pixelsToImage, resizePlanes, type Size } from '../../../image/index.js'

type Shape = readonly [channels: number, height: number, width: number]

/** What latents become, roughly: of R, G and B in [-1, 1] the share of each channel, and last what is there without any. */
export type Colours = readonly (readonly number[])[]

/** Keeps shares small where latents hardly differ, in units of their variance. */
const ridge = 1e-3

/**
 * The colours that fit best, by least squares, to latents and the means of the pixels for which each stands. Published
 * tables of such shares are fitted to one decoder alike; here it is whatever model paints.
 */
export function fitColours(pairs: readonly { latents: Float32Array; image: Image }[], shape: Shape): Colours {
  const [channels, height, width] = shape
  const area = height * width
  const n = channels + 1
  const products = Array.from({ length: n }, () => new Float64Array(n + 3))
  for (const { latents, image } of pairs) {
    const means = meanColours(image, { width, height })
    for (let i = 0; i < area; i++) {
      const row = Array.from({ length: n }, (_, c) => (c < channels ? latents[c * area + i]! : 1))
      row.push(...means.map(plane => plane[i]!))
      for (let a = 0; a < n; a++) for (let b = 0; b < n + 3; b++) products[a]![b]! += row[a]! * row[b]!
    }
  }
  for (let c = 0; c < channels; c++) products[c]![c]! += ridge * pairs.length * area
  return [0, 1, 2].map(rgb => solveLinear(products.map(row => [...row.subarray(0, n), row[n + rgb]!])))
}

/** Planes R, G and B in [-1, 1], each number the mean of the pixels that it stands for. */
function meanColours({ data, ...from }: Image, { width, height }: Size): Float64Array[] {
  const [across, down] = [from.width / width, from.height / height]
  return [0, 1, 2].map(rgb => {
    const plane = new Float64Array(width * height)
    for (let y = 0; y < from.height; y++) {
      for (let x = 0; x < from.width; x++) {
        const value = data[(y * from.width + x) * 3 + rgb]! / 127.5 - 1
        plane[Math.floor(y / down) * width + Math.floor(x / across)]! += value / (across * down)
      }
    }
    return plane
  })
}

/** A rough picture of latents: the colour of each, smoothly enlarged. */
export function paintColours(colours: Colours, latents: Float32Array, shape: Shape, size: Size): Image {
  const [channels, height, width] = shape
  const area = height * width
  const planes = new Float32Array(3 * area)
  for (const [rgb, shares] of colours.entries()) {
    for (let i = 0; i < area; i++) {
      let sum = shares[channels]!
      for (let c = 0; c < channels; c++) sum += shares[c]! * latents[c * area + i]!
      planes[rgb * area + i] = sum
    }
  }
  return pixelsToImage(resizePlanes(planes, { width, height }, size.width, size.height), size.width, size.height)
}
