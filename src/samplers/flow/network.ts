import { combine, type ModelPrediction, type Parameterization } from '../../diffusion/index.js'
import type { Network } from '../model.js'

/**
 * A model as samplers ask it, in variance-preserving coordinates. What a rectified flow says becomes v there: with
 * image and noise in shares a and s = 1 - a, its input is r = sqrt(a^2 + s^2) times as large, and
 * v = (a / r) noise - (s / r) image = (a - s) x + r (noise - image). DDIM's steps are then Euler's of the flow.
 */
export function samplingNetwork(
  network: Network,
  prediction: ModelPrediction,
  timesteps: number,
): { network: Network; parameterization: Parameterization } {
  if (prediction !== 'flow') return { network, parameterization: prediction }
  return {
    parameterization: 'v',
    async network(x, t) {
      const s = (t + 1) / timesteps
      const a = 1 - s
      const r = Math.hypot(a, s)
      const flow = await network(
        x.map(value => value * r),
        t,
      )
      return combine(a - s, x, r, flow)
    },
  }
}
