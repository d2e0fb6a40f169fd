import { combine } from '../../../diffusion/index.js'
import { weaknessesOf } from '../../network-variant.js'
import type { OpenGuidance } from './contract.js'

/**
 * Leads away from weaker copies of the network under the same conditions: from one whose attention sees only itself (Ahn et
 * al. 2024, PAG, eq. 15), from one without some layers (diffusers, guiders/skip_layer_guidance.py).
 */
export const weaker: OpenGuidance = ({ plan }) => {
  const scales = weaknessesOf(plan).map(({ scale }) => scale)
  if (scales.length === 0) return undefined
  return {
    lead: ({ led, conditional, weakened }) =>
      weakened.reduce<Float32Array>(
        (all, weak, i) => combine(1, all, scales[i]!, combine(1, conditional, -1, weak)),
        led,
      ),
  }
}
