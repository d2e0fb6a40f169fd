/** What is turned as one: so many numbers, so far apart; of a whole array by default. */
export interface SlerpOptions {
  readonly length?: number
  readonly stride?: number
}

/**
 * Turns one array of numbers into another along the sphere, by a share from 0 to 1, so that noise stays as strong as
 * noise is: between unit normals a straight line would lose variance. Lengths change evenly. Arrays of nearly one
 * direction are mixed along a line.
 *
 * Source: Shoemake 1985; stable-diffusion-webui, modules/rng.py, slerp, which turns each column of latents by itself.
 */
export function slerp(
  from: Float32Array,
  to: Float32Array,
  share: number,
  { length = from.length, stride = 1 }: SlerpOptions = {},
): Float32Array {
  if (from.length !== to.length || from.length % (length * stride) !== 0) {
    throw new RangeError(
      `Cannot turn ${from.length} numbers into ${to.length}: wanted are as many, in groups of ${length * stride}`,
    )
  }
  const out = new Float32Array(from.length)
  for (let group = 0; group < from.length / length; group++) {
    const start = Math.floor(group / stride) * length * stride + (group % stride)
    const at = (i: number) => start + i * stride
    let [a, b, both] = [0, 0, 0]
    for (let i = 0; i < length; i++) {
      const [x, y] = [from[at(i)]!, to[at(i)]!]
      a += x * x
      b += y * y
      both += x * y
    }
    const angle = Math.acos(Math.max(-1, Math.min(1, both / Math.sqrt(a * b))))
    const sine = Math.sin(angle)
    const line = !(sine > 0.03)
    const first = line ? 1 - share : Math.sin((1 - share) * angle) / sine
    const second = line ? share : Math.sin(share * angle) / sine
    for (let i = 0; i < length; i++) out[at(i)] = first * from[at(i)]! + second * to[at(i)]!
  }
  return out
}
