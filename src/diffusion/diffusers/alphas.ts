import { linspace32 } from '../linspace.js'
import { cumulativeAlphas32, rescaleZeroTerminalSnr } from '../snr.js'
import type { SchedulerConfig } from './config.js'

/**
 * diffusers' betas, float32 to the bit.
 *
 * Source: the constructors of diffusers' schedulers, and betas_for_alpha_bar in scheduling_ddpm.py.
 */
export function diffusersBetas(config: SchedulerConfig): Float32Array {
  const betas = plainBetas(config)
  return config.rescale_betas_zero_snr ? rescaleZeroTerminalSnr(betas) : betas
}

function plainBetas({
  trained_betas,
  beta_schedule,
  beta_start,
  beta_end,
  num_train_timesteps: n,
}: SchedulerConfig): Float32Array {
  if (trained_betas) return Float32Array.from(trained_betas)
  switch (beta_schedule) {
    case 'linear':
      return linspace32(beta_start, beta_end, n)
    case 'scaled_linear':
      return linspace32(Math.sqrt(beta_start), Math.sqrt(beta_end), n).map(root => root * root)
    case 'sigmoid': {
      const range = beta_end - beta_start
      return linspace32(-6, 6, n).map(
        x => Math.fround(Math.fround(1 / (1 + Math.exp(-x))) * Math.fround(range)) + Math.fround(beta_start),
      )
    }
    case 'squaredcos_cap_v2':
      return fromAlphaBar(n, t => Math.cos(((t + 0.008) / 1.008) * (Math.PI / 2)) ** 2)
    case 'exp':
      return fromAlphaBar(n, t => Math.exp(-12 * t))
    case 'laplace':
      return fromAlphaBar(n, t => {
        const sign = t > 0.5 ? -1 : 1
        const ratio = Math.exp(-0.5 * sign * Math.log(1 - 2 * Math.abs(0.5 - t) + 1e-6))
        return Math.sqrt(ratio / (1 + ratio))
      })
  }
}

function fromAlphaBar(n: number, alphaBar: (t: number) => number): Float32Array {
  return Float32Array.from({ length: n }, (_, i) => Math.min(1 - alphaBar((i + 1) / n) / alphaBar(i / n), 0.999))
}

/** Cumulative alphas as diffusers computes them; exactly 0 at the end where the SNR is rescaled to zero there. */
export function diffusersAlphasCumprod(config: SchedulerConfig): Float32Array {
  return cumulativeAlphas32(diffusersBetas(config))
}
