import { addNoise, combine, toEpsilon, toX0 } from '../../../diffusion/index.js'
import { blurAttended } from '../../../guidance/index.js'
import type { OpenGuidance } from './contract.js'

/**
 * Leads away from what the network says where it was robbed of what it attends to: of the image it expects, blurred there
 * and noised again. Source: Hong et al. 2023, SAG, algorithm 1; diffusers, pipeline_stable_diffusion_sag.py.
 */
export const selfAttention: OpenGuidance = ({ plan: { sag, sagBlur: deviation } }) =>
  sag === 0
    ? undefined
    : {
        async lead({ led, x, level, parameterization, conditional, unconditional, shape, leads, attended, again }) {
          if (!leads) return led
          const base = unconditional ?? conditional
          const x0 = toX0(base, x, level, parameterization)
          const blurred = blurAttended({ x0, shape, attended: attended(), deviation })
          const worse = await again(addNoise(blurred, toEpsilon(base, x, level, parameterization), level))
          return combine(1, led, sag, combine(1, base, -1, worse))
        },
      }
