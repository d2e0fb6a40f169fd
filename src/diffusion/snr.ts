/** What a network predicts: the noise, the clean image, or v = alpha * noise - sigma * image. */
export type Parameterization = 'epsilon' | 'x0' | 'v'

/** Signal-to-noise ratio of one cumulative alpha. */
export function snr(alphaCumprod: number): number {
  return alphaCumprod / (1 - alphaCumprod)
}

/**
 * Weight of a timestep's mean square error (Hang et al. 2023, min-SNR): min(snr, gamma) in terms of the x0 error,
 * divided by what turns the error of the prediction into it. Gamma is 5 in the paper.
 */
export function minSnrWeight(alphaCumprod: number, gamma: number, parameterization: Parameterization): number {
  const ratio = snr(alphaCumprod)
  const capped = Math.min(ratio, gamma)
  if (parameterization === 'x0') return capped
  if (parameterization === 'v') return capped / (ratio + 1)
  // Below gamma the weight is 1, and stays so where the ratio itself is 0.
  return ratio <= gamma ? 1 : capped / ratio
}

/**
 * Betas shifted and scaled so that the last cumulative alpha is exactly 0 (Lin et al. 2023, algorithm 1), with every
 * step rounded to float32 as diffusers computes them.
 *
 * Source: diffusers, scheduling_ddim.py, rescale_zero_terminal_snr.
 */
export function rescaleZeroTerminalSnr(betas: Float32Array): Float32Array {
  const roots = cumulativeAlphas32(betas).map(Math.sqrt)
  const first = roots[0]!
  const last = roots.at(-1)!
  const scale = Math.fround(first / Math.fround(first - last))
  const alphaBars = roots.map(root => Math.fround(Math.fround(root - last) * scale) ** 2)
  return alphaBars.map((bar, i) => 1 - (i === 0 ? bar : Math.fround(bar / alphaBars[i - 1]!)))
}

/** Cumulative alphas of float32 betas as torch's cumprod gives them: summed up in double, each rounded to float32. */
export function cumulativeAlphas32(betas: Float32Array): Float32Array {
  let product = 1
  return betas.map(beta => (product *= Math.fround(1 - beta)))
}
