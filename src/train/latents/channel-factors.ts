import type { Latents } from './contract.js'

/** Pictures whose latents are read at once. */
const several = 256

/**
 * What brings each channel of the latents of some pictures to mean 0 and deviation 1: over their drawn latents, whose
 * variance is that of the means and the mean of the variances.
 */
export async function channelFactors(
  latents: Latents,
  pictures: readonly number[],
): Promise<{ scale_factor: number[]; shift_factor: number[] }> {
  const [channels] = latents.shape
  const sums = new Float64Array(channels)
  const squares = new Float64Array(channels)
  let count = 0
  const byShape = new Map<string, number[]>()
  for (const index of pictures) {
    const key = String(latents.shapeOf(index))
    const same = byShape.get(key)
    if (same) same.push(index)
    else byShape.set(key, [index])
  }
  for (const same of byShape.values()) {
    for (let at = 0; at < same.length; at += several) {
      const some = same.slice(at, at + several).map(index => ({ index, flip: 1 }))
      const { means, deviations, shape } = await latents.read(some)
      const area = shape[1] * shape[2]
      count += some.length * area
      for (let i = 0; i < means.length; i++) {
        const c = Math.floor(i / area) % channels
        sums[c]! += means[i]!
        squares[c]! += means[i]! ** 2 + deviations[i]! ** 2
      }
    }
  }
  const shift_factor = Array.from(sums, sum => sum / count)
  const scale_factor = Array.from(squares, (sum, c) => 1 / Math.sqrt(sum / count - shift_factor[c]! ** 2))
  return { scale_factor, shift_factor }
}
