/**
 * Spherical interpolation from one start to another, `[channels, height, width]`, each column of each channel by the
 * angle between its own; by lines where they are almost parallel, in which the shares are the other way round, as there.
 *
 * Source: AUTOMATIC1111, modules/rng.py, slerp (its dim=1 is the height of a picture without batch).
 */
export function slerpColumns(
  low: Float32Array,
  high: Float32Array,
  share: number,
  [channels, height, width]: readonly [number, number, number],
): Float32Array {
  const cosines = new Float64Array(channels * width)
  for (let channel = 0; channel < channels; channel++) {
    for (let column = 0; column < width; column++) {
      let [a, b, ab] = [0, 0, 0]
      for (let row = 0; row < height; row++) {
        const at = (channel * height + row) * width + column
        a += low[at]! ** 2
        b += high[at]! ** 2
        ab += low[at]! * high[at]!
      }
      cosines[channel * width + column] = ab / Math.sqrt(a * b)
    }
  }
  const parallel = cosines.reduce((sum, cosine) => sum + cosine, 0) / cosines.length > 0.9995
  return low.map((value, i) => {
    if (parallel) return share * value + (1 - share) * high[i]!
    const angle = Math.acos(cosines[Math.floor(i / (height * width)) * width + (i % width)]!)
    return (Math.sin((1 - share) * angle) * value + Math.sin(share * angle) * high[i]!) / Math.sin(angle)
  })
}
