/**
 * The timesteps of a CompVis sampler, rising. `uniform` makes every floor(T / steps)-th, so that their number can exceed
 * `steps` (15 of 1000: 16); `quad` is denser near 0. Each is one higher than its index in the original's formula.
 *
 * Source: latent-diffusion, ldm/modules/diffusionmodules/util.py, make_ddim_timesteps.
 */
export function ddimTimesteps(method: 'uniform' | 'quad', steps: number, trainTimesteps: number): number[] {
  if (!Number.isInteger(steps) || steps < 1 || steps > trainTimesteps) {
    throw new RangeError(
      `Cannot make ${steps} sampling steps: a schedule of ${trainTimesteps} timesteps has 1 to ${trainTimesteps}`,
    )
  }
  if (method === 'quad') {
    const end = Math.sqrt(trainTimesteps * 0.8)
    const step = steps > 1 ? end / (steps - 1) : 0
    return Array.from({ length: steps }, (_, i) => Math.floor((i === steps - 1 && i > 0 ? end : i * step) ** 2) + 1)
  }
  const stride = Math.floor(trainTimesteps / steps)
  return Array.from({ length: Math.ceil(trainTimesteps / stride) }, (_, i) => i * stride + 1)
}

/** Cumulative alphas and noise per DDIM step, in the order of the timesteps. */
export interface DdimParameters {
  readonly alphas: Float64Array
  /** Of the step before; the first one's is the schedule's first, not 1. */
  readonly alphasPrev: Float64Array
  readonly sigmas: Float64Array
}

/**
 * DDIM's parameters (Song et al. 2021, eq. 16) at some timesteps.
 *
 * Throws RangeError where a timestep lies beyond the schedule, as happens with the original's timesteps when T - 1 is a
 * multiple of floor(T / steps) (there an IndexError).
 * Source: latent-diffusion, ldm/modules/diffusionmodules/util.py, make_ddim_sampling_parameters.
 */
export function ddimParameters(
  alphasCumprod: ArrayLike<number>,
  timesteps: readonly number[],
  eta: number,
): DdimParameters {
  for (const t of timesteps) {
    if (!(t >= 0 && t < alphasCumprod.length)) {
      throw new RangeError(
        `Cannot sample at timestep ${t}: the schedule has ${alphasCumprod.length}, the last is ${alphasCumprod.length - 1}. Choose another number of steps (a divisor of ${alphasCumprod.length} always works up to half of it)`,
      )
    }
  }
  const alphas = Float64Array.from(timesteps, t => alphasCumprod[t]!)
  const alphasPrev = Float64Array.from(timesteps, (_, i) => alphasCumprod[i === 0 ? 0 : timesteps[i - 1]!]!)
  const sigmas = alphas.map((a, i) => eta * Math.sqrt(((1 - alphasPrev[i]!) / (1 - a)) * (1 - a / alphasPrev[i]!)))
  return { alphas, alphasPrev, sigmas }
}
