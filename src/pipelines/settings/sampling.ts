import { z } from 'zod'
import { type SamplingSchedule, schedules } from '../../diffusion/index.js'
import { type SamplerName, samplers } from '../../samplers/index.js'
import { settingsGroup } from './group.js'

/** The way from noise to a picture. */
export const sampling = settingsGroup({
  shape: {
    steps: z.int().positive().default(20).describe('how often the network is asked'),
    sampler: z
      .enum(Object.keys(samplers) as [SamplerName, ...SamplerName[]])
      .default('ddim')
      .describe('the way from noise to a picture'),
    schedule: z
      .enum(Object.keys(schedules) as [SamplingSchedule, ...SamplingSchedule[]])
      .default('trailing')
      .describe('where the steps lie'),
    rho: z.number().gt(0).max(100).optional().describe('exponent of karras (default 7) and polyexponential (1) steps'),
    sigmaMin: z
      .number()
      .gt(0)
      .max(1e6)
      .optional()
      .describe("lowest noise level of steps by formula (default the model's)"),
    sigmaMax: z
      .number()
      .gt(0)
      .max(1e6)
      .optional()
      .describe("highest noise level of steps by formula (default the model's)"),
    eta: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe(
        'share of the noise that the sampler adds anew (default 0 for ddim and res, 0.3 for tcd, 1 for others)',
      ),
  },
  check: ({ sigmaMin, sigmaMax }) =>
    sigmaMin !== undefined && sigmaMax !== undefined && sigmaMin >= sigmaMax
      ? { at: 'sigmaMin', message: `is ${sigmaMin}, not below sigmaMax, ${sigmaMax}` }
      : undefined,
  lines: {
    eta: [
      { label: 'Eta DDIM', when: (_, { sampler }) => sampler === 'ddim', read: Number },
      { label: 'Eta', read: Number },
    ],
    rho: { label: 'Schedule rho', read: Number },
    sigmaMin: { label: 'Schedule min sigma', read: Number },
    sigmaMax: { label: 'Schedule max sigma', read: Number },
  },
})
