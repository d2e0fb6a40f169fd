/** A quantile of an image's absolute values: linear interpolation between the two neighbours in sorted values. */
export function quantileOfSizes(image: Float32Array, ratio: number): number {
  const sorted = image.map(Math.abs).sort()
  const at = ratio * (sorted.length - 1)
  const low = Math.floor(at)
  const high = Math.min(low + 1, sorted.length - 1)
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!)
}
