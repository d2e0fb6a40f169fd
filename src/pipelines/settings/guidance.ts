import { z } from 'zod'
import { numberOf, settingsGroup } from './group.js'

const scale = z.number().min(0).max(1000)
const blocks = z.array(z.string()).min(1).default(['middle_block'])

/** How far conditions lead the network, away from what, and what keeps strong guidance in range. */
export const guidance = settingsGroup({
  shape: {
    guidance: scale.default(3).describe('how far prompt, class and the like lead the network; 1 is its plain answer'),
    negativePrompt: z.string().default('').describe('what guidance leads away from'),
    guidanceMethod: z
      .enum(['cfg', 'cfg++'])
      .default('cfg')
      .describe('cfg++: noise is added again as the unconditional answer has it, with guidance from 0 to 1 (by ddim)'),
    guidanceFrom: z
      .number()
      .min(0)
      .optional()
      .describe('the highest noise level, sigma over alpha, at which anything leads away (default all)'),
    guidanceTo: z
      .number()
      .min(0)
      .optional()
      .describe('the lowest noise level at which anything leads away (default 0)'),
    guidanceRescale: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe('how far the guided answer is brought to the standard deviation of the conditional one, up to 1'),
    mimicScale: scale.optional().describe('the guidance whose range of numbers a stronger one keeps'),
    mimicPercentile: z
      .number()
      .gt(0)
      .max(1)
      .default(1)
      .describe('the share of numbers that the range of the stronger guidance is taken from'),
    threshold: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe(
        'clip each expected image to this percentile of its absolute values, and divide by it (models of pixels)',
      ),
    thresholdMost: z.number().min(1).default(1).describe('the largest size that is divided by'),
    pag: scale.default(0).describe('how far to lead away from the network with attention that sees only itself'),
    pagBlocks: blocks.describe('the blocks whose attention sees only itself, such as middle_block and input_blocks.8'),
    skipLayers: scale.default(0).describe('how far to lead away from the network without some layers'),
    skippedBlocks: blocks.describe('the blocks whose layers of attention are left out'),
  },
  check(settings) {
    const { guidanceMethod, guidance, guidanceFrom = Infinity, guidanceTo = 0 } = settings
    if (guidanceTo > guidanceFrom) return { at: 'guidanceTo', message: 'is above guidanceFrom: the noise goes down' }
    if (guidanceMethod === 'cfg') return undefined
    const { sampler } = settings as { sampler?: string }
    if (sampler !== 'ddim') return { at: 'guidanceMethod', message: `cfg++ is for the sampler ddim, found ${sampler}` }
    return guidance > 1
      ? {
          at: 'guidance',
          message: `is ${guidance}; cfg++ goes from 0 to 1, such as 0.6: leave guidanceMethod out or set it lower`,
        }
      : undefined
  },
  show: plan => ({
    'Guidance method': plan.guidanceMethod === 'cfg' ? undefined : plan.guidanceMethod,
    'Guidance from': plan.guidanceFrom,
    'Guidance to': plan.guidanceTo,
    'CFG rescale phi': plan.guidanceRescale || undefined,
    'Mimic scale': plan.mimicScale,
    'Threshold percentile': plan.mimicScale === undefined ? undefined : plan.mimicPercentile,
    'Dynamic threshold': plan.threshold,
    'Dynamic threshold most': plan.threshold === undefined ? undefined : plan.thresholdMost,
    'PAG scale': plan.pag || undefined,
    'PAG blocks': plan.pag === 0 ? undefined : plan.pagBlocks.join(' '),
    'SLG scale': plan.skipLayers || undefined,
    'SLG blocks': plan.skipLayers === 0 ? undefined : plan.skippedBlocks.join(' '),
  }),
  read: lines => ({
    guidanceMethod: lines['Guidance method'] === 'cfg++' ? ('cfg++' as const) : undefined,
    guidanceFrom: numberOf(lines['Guidance from']),
    guidanceTo: numberOf(lines['Guidance to']),
    guidanceRescale: numberOf(lines['CFG rescale phi']),
    mimicScale: numberOf(lines['Mimic scale']),
    mimicPercentile: numberOf(lines['Threshold percentile']),
    threshold: numberOf(lines['Dynamic threshold']),
    thresholdMost: numberOf(lines['Dynamic threshold most']),
    pag: numberOf(lines['PAG scale']),
    pagBlocks: lines['PAG blocks']?.split(' '),
    skipLayers: numberOf(lines['SLG scale']),
    skippedBlocks: lines['SLG blocks']?.split(' '),
  }),
})
