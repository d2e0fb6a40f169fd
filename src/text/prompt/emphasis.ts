/** What a text encoder made of some chunks, [chunks, length, width], and how much each of their tokens counts. */
export interface Emphasised {
  readonly z: Float32Array
  /** [chunks, length]. */
  readonly weights: Float32Array
  readonly width: number
}

/**
 * Each token's vector times its weight, then all of a batch times what brings its mean back, for encoders whose `widths`
 * lie beside one another each by itself. A batch whose mean vanishes is left as weighed.
 *
 * @see AUTOMATIC1111/stable-diffusion-webui modules/sd_emphasis.py, EmphasisOriginal
 */
export function restoringMean({ z, weights, width }: Emphasised, widths: readonly number[]): Float32Array {
  const out = z.map((value, i) => value * weights[Math.floor(i / width)]!)
  let from = 0
  for (const part of widths) {
    const inside = (i: number) => i % width >= from && i % width < from + part
    const sum = (values: Float32Array) => values.reduce((all, value, i) => (inside(i) ? all + value : all), 0)
    const [before, after] = [sum(z), sum(out)]
    if (before !== after && after !== 0) for (let i = 0; i < out.length; i++) if (inside(i)) out[i]! *= before / after
    from += part
  }
  return out
}

/**
 * Each token's vector moved away from that of the empty prompt at its place, `empty` [length, width].
 *
 * @see comfyanonymous/ComfyUI comfy/sd1_clip.py, encode_token_weights
 */
export function fromEmpty({ z, weights, width }: Emphasised, empty: Float32Array): Float32Array {
  return z.map((value, i) => {
    const weight = weights[Math.floor(i / width)]!
    const base = empty[i % empty.length]!
    return weight === 1 ? value : (value - base) * weight + base
  })
}
