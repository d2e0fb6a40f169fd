import { z } from 'zod'
import { imageSchema } from '../../conditioning/index.js'
import type { SourceLike } from '../../platform/types.js'
import { settingsGroup } from './group.js'

/** What leads a generation beside its conditions; the guides themselves are not told, so nothing of it is read again. */
export const guides = settingsGroup({
  shape: {
    guide: imageSchema
      .optional()
      .meta({ placeholder: 'PICTURE' })
      .describe('a picture that leads the generation, without any training for it'),
    guideBy: z
      .enum(['l2', 'perceptual'])
      .default('l2')
      .describe('what is to become small: squared differences to the guide, or how differently it looks'),
    guideWeight: z
      .number()
      .min(0)
      .max(1e9)
      .optional()
      .describe('how far the guide leads (default 1; by perceptual 100)'),
    guideSize: z
      .int()
      .positive()
      .optional()
      .describe('longer side in pixels at which picture and guide are compared (default that of the guide)'),
    classifier: z
      .custom<SourceLike>(value => ['string', 'object'].includes(typeof value))
      .optional()
      .meta({ placeholder: 'FILE' })
      .describe('a noisy classifier that leads to the class, without any training of the model for it'),
    classifierWeight: z.number().min(0).max(1e6).default(3).describe('how far the classifier leads'),
  },
  lines: {
    guide: {
      label: 'Guided by',
      show: (_, { guideBy, guideWeight }) => `${guideBy}${guideWeight === undefined ? '' : `, weight ${guideWeight}`}`,
    },
    classifier: {
      label: 'Led to class',
      show: (_, { classifierClass, classifierWeight }) => `${classifierClass}, weight ${classifierWeight}`,
    },
  },
})
