/**
 * What brings latents to a deviation of 1: one over that of all their elements, as training with `scale_by_std` takes it
 * from its first batch. Source: latent-diffusion, ddpm.py, LatentDiffusion.on_train_batch_start.
 */
export const scaleByStd = (latents: ArrayLike<number>): number => 1 / sampleDeviation(latents)

/** Standard deviation of a sample, over n - 1. */
export function sampleDeviation(values: ArrayLike<number>): number {
  const n = values.length
  let [sum, squares] = [0, 0]
  for (let i = 0; i < n; i++) sum += values[i]!
  for (let i = 0; i < n; i++) squares += (values[i]! - sum / n) ** 2
  return Math.sqrt(squares / (n - 1))
}
