import { guide } from '../../../guidance/index.js'
import type { OpenGuidance } from './contract.js'

/** Leads away from the prediction without the conditions. */
export const classifierFree: OpenGuidance = ({ plan: { guidance } }) =>
  guidance === 1
    ? undefined
    : { lead: ({ led, unconditional, leads }) => (unconditional && leads ? guide(led, unconditional, guidance) : led) }
