import { type Level, type Parameterization, target, toEpsilon, toX0 } from '../../../diffusion/index.js'
import { guide, mimicRange, rescaleGuided } from '../../../guidance/index.js'
import { profiles } from '../../../samplers/index.js'
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
export const rescale: OpenGuidance = ({ plan: { guidanceRescale: phi, profile } }) =>
  phi === 0
    ? undefined
    : {
        lead({ led, conditional, x, level, parameterization: own, shape: [images], leads }) {
          if (!leads) return led
          const as = (profile && profiles[profile].rescales) ?? own
          const said = (prediction: Float32Array) => converted(prediction, { x, level, from: own, to: as })
          const rescaled = rescaleGuided(said(led), said(conditional), { phi, images })
          return converted(rescaled, { x, level, from: as, to: own })
        },
      }

interface Conversion {
  readonly x: Float32Array
  readonly level: Level
  readonly from: Parameterization
  readonly to: Parameterization
}

/** What a prediction says, in another parameterisation. */
function converted(prediction: Float32Array, { x, level, from, to }: Conversion): Float32Array {
  if (from === to) return prediction
  return target(toX0(prediction, x, level, from), toEpsilon(prediction, x, level, from), level, to)
}
