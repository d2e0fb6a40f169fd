import { z } from 'zod'
import { settingsGroup } from './group.js'
import { oneOf, spaced } from './lines.js'

const methods = ['cfg', 'cfg++'] as const
const scale = z.number().min(0).max(1000)
const blocks = z.array(z.string()).min(1).default(['middle_block'])

/** How far conditions lead the network, away from what, and what keeps strong guidance in range. */
export const guidance = settingsGroup({
  shape: {
    guidance: scale.default(3).describe('how far prompt, class and the like lead the network; 1 is its plain answer'),
    negativePrompt: z.string().default('').describe('what guidance leads away from'),
    guidanceMethod: z
      .enum(methods)
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
    sag: scale
      .default(0)
      .describe(
        'how far to lead away from the network that does not see well what it attends to (self-attention guidance)',
      ),
    sagBlur: z
      .number()
      .gt(0)
      .max(100)
      .default(1)
      .describe('how strongly what is attended to is blurred: a standard deviation, in latents'),
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
  lines: {
    guidanceMethod: { label: 'Guidance method', read: oneOf(methods) },
    guidanceFrom: { label: 'Guidance from', read: Number },
    guidanceTo: { label: 'Guidance to', read: Number },
    guidanceRescale: { label: 'CFG rescale phi', read: Number },
    mimicScale: { label: 'Mimic scale', read: Number },
    mimicPercentile: { label: 'Threshold percentile', beside: 'mimicScale', read: Number },
    threshold: { label: 'Dynamic threshold', read: Number },
    thresholdMost: { label: 'Dynamic threshold most', beside: 'threshold', read: Number },
    pag: { label: 'PAG scale', read: Number },
    pagBlocks: { label: 'PAG blocks', beside: 'pag', ...spaced },
    sag: { label: 'SAG scale', read: Number },
    sagBlur: { label: 'SAG blur sigma', beside: 'sag', read: Number },
    skipLayers: { label: 'SLG scale', read: Number },
    skippedBlocks: { label: 'SLG blocks', beside: 'skipLayers', ...spaced },
  },
})
