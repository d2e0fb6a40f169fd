import type { SamplerName } from '../../../samplers/index.js'
import type { Plan } from '../../settings/plan.js'

/** Samplers whose steps are two calls of the network for A1111 (modules/sd_samplers_kdiffusion.py, second_order). */
const twice = new Set<SamplerName>(['heun', 'dpm_2', 'dpm_2_ancestral', 'dpmpp_2s_ancestral', 'dpmpp_sde', 'restart'])

/** How often a plan calls the network, as A1111 counts it for prompts that change. */
export const callsOf = ({ steps, sampler }: Pick<Plan, 'steps' | 'sampler'>): number =>
  steps * (twice.has(sampler) ? 2 : 1)
