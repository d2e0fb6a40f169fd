import { type BetaSchedule, cumulativeAlphas, makeBetas } from './betas.js'
import type { Parameterization } from './snr.js'

/** Everything that DDPM training and ancestral sampling look up by timestep, float32, `[timesteps]` each. */
export interface DdpmBuffers {
  readonly betas: Float32Array
  readonly alphasCumprod: Float32Array
  readonly alphasCumprodPrev: Float32Array
  readonly sqrtAlphasCumprod: Float32Array
  readonly sqrtOneMinusAlphasCumprod: Float32Array
  readonly logOneMinusAlphasCumprod: Float32Array
  readonly sqrtRecipAlphasCumprod: Float32Array
  readonly sqrtRecipm1AlphasCumprod: Float32Array
  readonly posteriorVariance: Float32Array
  readonly posteriorLogVarianceClipped: Float32Array
  readonly posteriorMeanCoef1: Float32Array
  readonly posteriorMeanCoef2: Float32Array
  /** Weights of the variational bound. */
  readonly lvlbWeights: Float32Array
}

/**
 * The buffers of a schedule, computed in float64 and rounded once; lvlb weights from the rounded ones, as the reference
 * does. `vPosterior` between 0 and 1 moves the posterior's variance from its lower bound to beta.
 *
 * Source: latent-diffusion, ldm/models/diffusion/ddpm.py, DDPM.register_schedule; v: stablediffusion, same place.
 */
export function ddpmBuffers(
  schedule: BetaSchedule,
  { vPosterior = 0, parameterization = 'epsilon' }: { vPosterior?: number; parameterization?: Parameterization } = {},
): DdpmBuffers {
  const betas = makeBetas(schedule)
  const bars = cumulativeAlphas(betas)
  const previous = bars.map((_, i) => (i === 0 ? 1 : bars[i - 1]!))
  const each = (f: (bar: number, previous: number, beta: number) => number) =>
    Float64Array.from(bars, (bar, i) => f(bar, previous[i]!, betas[i]!))
  const variance = each((bar, prev, beta) => ((1 - vPosterior) * beta * (1 - prev)) / (1 - bar) + vPosterior * beta)
  const buffers = {
    betas: Float32Array.from(betas),
    alphasCumprod: Float32Array.from(bars),
    alphasCumprodPrev: Float32Array.from(previous),
    sqrtAlphasCumprod: Float32Array.from(bars, Math.sqrt),
    sqrtOneMinusAlphasCumprod: Float32Array.from(bars, bar => Math.sqrt(1 - bar)),
    logOneMinusAlphasCumprod: Float32Array.from(bars, bar => Math.log(1 - bar)),
    sqrtRecipAlphasCumprod: Float32Array.from(bars, bar => Math.sqrt(1 / bar)),
    sqrtRecipm1AlphasCumprod: Float32Array.from(bars, bar => Math.sqrt(1 / bar - 1)),
    posteriorVariance: Float32Array.from(variance),
    // The variance is 0 at the first step, its logarithm would be -infinity.
    posteriorLogVarianceClipped: Float32Array.from(variance, v => Math.log(Math.max(v, 1e-20))),
    posteriorMeanCoef1: Float32Array.from(each((bar, prev, beta) => (beta * Math.sqrt(prev)) / (1 - bar))),
    posteriorMeanCoef2: Float32Array.from(each((bar, prev, beta) => ((1 - prev) * Math.sqrt(1 - beta)) / (1 - bar))),
  }
  return { ...buffers, lvlbWeights: lvlbWeights(buffers, betas, parameterization) }
}

function lvlbWeights(
  { betas, alphasCumprod, posteriorVariance }: Pick<DdpmBuffers, 'betas' | 'alphasCumprod' | 'posteriorVariance'>,
  exactBetas: Float64Array,
  parameterization: Parameterization,
): Float32Array {
  const weights = Float32Array.from(alphasCumprod, (bar, i) => {
    if (parameterization === 'v') return 1
    if (parameterization === 'x0') return (0.5 * Math.sqrt(bar)) / (2 - bar)
    const alpha = Math.fround(1 - exactBetas[i]!)
    return betas[i]! ** 2 / (2 * posteriorVariance[i]! * alpha * (1 - bar))
  })
  // The first weight is infinite (no variance); the reference gives it the second's.
  if (weights.length > 1) weights[0] = weights[1]!
  return weights
}
