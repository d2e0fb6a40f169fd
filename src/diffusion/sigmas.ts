import { betaQuantile } from './beta-quantile.js'
import { linspace, linspace32 } from './linspace.js'

const { fround } = Math

/*
 * Levels are rounded after each operation as torch's float32 code rounds them: a Brownian path is asked at them, and is
 * another a millionth beside.
 */

/**
 * Noise levels from `sigmaMax` down to `sigmaMin`, equally spaced in sigma^(1/rho) (Karras et al. 2022, eq. 5); a final
 * 0 is added, as to all levels here. Source: k-diffusion, sampling.py, get_sigmas_karras.
 */
export function karrasSigmas(n: number, sigmaMin: number, sigmaMax: number, rho = 7): Float32Array {
  const low = sigmaMin ** (1 / rho)
  const high = sigmaMax ** (1 / rho)
  const step = fround(low - high)
  return withZero(linspace32(0, 1, n).map(ramp => fround(fround(high) + fround(ramp * step)) ** rho))
}

/** Levels equally spaced in log sigma. */
export function exponentialSigmas(n: number, sigmaMin: number, sigmaMax: number): Float32Array {
  return withZero(linspace32(Math.log(sigmaMax), Math.log(sigmaMin), n).map(Math.exp))
}

/** Levels whose logarithm falls as a polynomial; rho 1 is `exponentialSigmas`. */
export function polyexponentialSigmas(n: number, sigmaMin: number, sigmaMax: number, rho = 1): Float32Array {
  const low = Math.log(sigmaMin)
  const range = fround(Math.log(sigmaMax) - low)
  return withZero(linspace32(1, 0, n).map(ramp => Math.exp(fround(fround(fround(ramp ** rho) * range) + fround(low)))))
}

/** Levels spread by the beta distribution B(0.6, 0.6), without a final 0 (Lee et al. 2024, in noise levels). */
export function betaSigmas(n: number, sigmaMin: number, sigmaMax: number): Float64Array {
  return linspace(0, 1, n).map(ramp => sigmaMin + betaQuantile(1 - ramp, 0.6) * (sigmaMax - sigmaMin))
}

/** Levels of the continuous variance-preserving process (Song et al. 2021, eq. 32) from time 1 to `epsilon`. */
export function vpSigmas(n: number, betaD = 19.9, betaMin = 0.1, epsilon = 1e-3): Float32Array {
  const integral = (t: number) => fround(fround(fround(betaD * fround(t * t)) / 2) + fround(betaMin * t))
  return withZero(linspace32(1, epsilon, n).map(t => Math.sqrt(fround(fround(Math.exp(integral(t))) - 1))))
}

function withZero(levels: ArrayLike<number>): Float32Array {
  const sigmas = new Float32Array(levels.length + 1)
  sigmas.set(levels)
  return sigmas
}

/** The noise level that stands for a picture without any signal, as in diffusers (where its alpha is 2^-24). */
export const sigmaOfNoSignal = 4096

/** The noise levels of a model's own timesteps, and the ways between a level and a (fractional) timestep. */
export interface DiscreteSigmas {
  /** Rising, one per timestep. */
  readonly sigmas: Float32Array
  readonly logSigmas: Float32Array
  /** `n` levels at equally spaced timesteps from the last to the first, then 0. */
  levels(n: number): Float32Array
  /** The timestep of a level, interpolated in log sigma and kept inside the table; `quantize`: the nearest whole one. */
  sigmaToT(sigma: number, quantize?: boolean): number
  /** The level of a timestep from 0 to the last; between two, interpolated in log sigma. */
  tToSigma(t: number): number
}

/**
 * Of float32 alphas everything is rounded on the way, as k-diffusion does; of double ones the results alone, as ComfyUI.
 *
 * Source: k-diffusion, external.py, DiscreteSchedule; ComfyUI, comfy/model_sampling.py, ModelSamplingDiscrete.
 */
export function discreteSigmas(alphasCumprod: ArrayLike<number>): DiscreteSigmas {
  const round = alphasCumprod instanceof Float32Array ? fround : (value: number) => value
  const exact = Float64Array.from(alphasCumprod, bar => round(Math.sqrt(round(round(1 - bar) / bar))))
  const sigmas = Float32Array.from(exact)
  const logSigmas = Float32Array.from(exact, Math.log)
  const last = sigmas.length - 1

  function tToSigma(t: number): number {
    const low = Math.floor(t)
    const w = fround(t - low)
    return fround(Math.exp(fround(fround(fround(1 - w) * logSigmas[low]!) + fround(w * logSigmas[Math.ceil(t)]!))))
  }

  return {
    sigmas,
    logSigmas,
    tToSigma,
    levels: n => withZero(linspace32(last, 0, n).map(tToSigma)),
    sigmaToT(sigma, quantize = false) {
      // Rounded as the table is: near its ends the result hangs on the difference of close logarithms.
      const logSigma = Math.fround(Math.log(sigma))
      return quantize ? nearest(logSigmas, logSigma) : interpolatedIndex(logSigmas, logSigma)
    },
  }
}

function nearest(table: Float32Array, value: number): number {
  let best = 0
  table.forEach((entry, i) => {
    if (Math.abs(entry - value) < Math.abs(table[best]! - value)) best = i
  })
  return best
}

/** Where a value lies in a rising table, as a fractional index inside it. */
export function interpolatedIndex(table: ArrayLike<number>, value: number): number {
  let low = 0
  let high = table.length - 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (table[middle]! <= value) low = middle
    else high = middle
  }
  const w = (table[low]! - value) / (table[low]! - table[high]!)
  return low + Math.min(Math.max(w, 0), 1)
}

/**
 * `steps` + 1 falling levels at equally spaced times from the last timestep (`start`, in shares of all) to the first, between
 * timesteps interpolated in log alpha; `t` is what the network is told.
 *
 * Source: stablediffusion, ldm/models/diffusion/dpm_solver/dpm_solver.py, NoiseScheduleVP (discrete), time_uniform.
 */
export function timeUniformLevels(
  alphasCumprod: ArrayLike<number>,
  steps: number,
  start = 1,
): { sigma: number; t: number }[] {
  const n = alphasCumprod.length
  return Array.from(linspace(start, 1 / n, steps + 1), time => {
    const index = time * n - 1
    const low = Math.min(Math.max(Math.floor(index), 0), n - 2)
    const logOf = (i: number) => Math.log(alphasCumprod[i]!)
    const logAlpha = logOf(low) + (index - low) * (logOf(low + 1) - logOf(low))
    // The factor is 1000 there whatever the length of the schedule.
    return { sigma: Math.sqrt(Math.expm1(-logAlpha)), t: (time - 1 / n) * 1000 }
  })
}
