import { knownPrediction } from '../../../guidance/index.js'
import { keepingOf } from '../known-part.js'
import type { OpenGuidance } from './contract.js'

/** Keeps the known part of a picture that is painted in, in what is predicted of it. */
export const knownPart: OpenGuidance = ({ plan, start: { known } }) =>
  known && ['predicted', 'noised'].includes(keepingOf(plan))
    ? {
        lead: ({ led, x, level, parameterization, shape }) =>
          knownPrediction(led, { x, level, parameterization, shape, ...known }),
      }
    : undefined
