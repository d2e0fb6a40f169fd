import { knownPrediction } from '../../../guidance/index.js'
import { noisesKnown } from '../known-part.js'
import type { OpenGuidance } from './contract.js'

/** Keeps the known part of a picture that is painted in, for models that are not told of it. */
export const knownPart: OpenGuidance = ({ plan, start: { known } }) =>
  known && !noisesKnown(plan)
    ? {
        lead: ({ led, x, level, parameterization, shape }) =>
          knownPrediction(led, { x, level, parameterization, shape, ...known }),
      }
    : undefined
