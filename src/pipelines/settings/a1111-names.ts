import type { SamplingSchedule } from '../../diffusion/index.js'
import type { SamplerName } from '../../samplers/index.js'

/** What A1111's pictures call samplers, where that is not their label here (modules/sd_samplers_*.py). */
export const a1111Samplers: Partial<Readonly<Record<SamplerName, string>>> = {
  euler_ancestral: 'Euler a',
  dpm_2_ancestral: 'DPM2 a',
  dpmpp_2s_ancestral: 'DPM++ 2S a',
  dpm_adaptive: 'DPM adaptive',
  ddpm: 'DDPM',
  lcm: 'LCM',
}

/** What A1111's pictures call schedules (modules/sd_schedulers.py). */
export const a1111Schedules: Partial<Readonly<Record<SamplingSchedule, string>>> = {
  uniform: 'Uniform',
  normal: 'Normal',
  karras: 'Karras',
  exponential: 'Exponential',
  polyexponential: 'Polyexponential',
  sgm_uniform: 'SGM Uniform',
  simple: 'Simple',
  ddim_uniform: 'DDIM',
  ays: 'Align Your Steps',
  beta: 'Beta',
  kl_optimal: 'KL Optimal',
}
