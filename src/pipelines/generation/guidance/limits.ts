import { guide, mimicRange, rescaleGuided } from '../../../guidance/index.js'
import type { OpenGuidance } from './contract.js'

/** A strongly guided answer keeps the range of numbers that a weaker guidance has. */
export const mimic: OpenGuidance = ({ plan: { mimicScale, mimicPercentile: percentile } }) =>
  mimicScale === undefined
    ? undefined
    : {
        lead({ led, conditional, unconditional, shape: [images, channels], leads }) {
          if (!unconditional || !leads) return led
          const like = guide(conditional, unconditional, mimicScale)
          return mimicRange(led, like, { maps: images * channels, percentile, phi: 1 })
        },
      }

/** A guided answer has the deviation of the conditional one, by a share. */
export const rescale: OpenGuidance = ({ plan: { guidanceRescale: phi } }) =>
  phi === 0
    ? undefined
    : {
        lead: ({ led, conditional, shape: [images], leads }) =>
          leads ? rescaleGuided(led, conditional, { phi, images }) : led,
      }
