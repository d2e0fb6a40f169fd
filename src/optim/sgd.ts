import type { Optimiser } from '../runtime/state/optimiser.js'
import { add, mul, sub } from '../tensor/binary.js'

export interface SgdOptions {
  readonly momentum?: number
  readonly weightDecay?: number
}

/** Stochastic gradient descent with momentum, as torch.optim.SGD without dampening. */
export function sgd({ momentum = 0, weightDecay = 0 }: SgdOptions = {}): Optimiser {
  return {
    name: 'sgd',
    moments: momentum === 0 ? [] : ['momentum'],
    scalars: (_, learningRate) => ({ learningRate }),
    update({ parameter, gradient, moments, scalars }) {
      const decayed = weightDecay === 0 ? gradient : add(gradient, mul(parameter, weightDecay))
      // From zero, the first step is the gradient itself, as torch starts its buffer.
      const direction = momentum === 0 ? decayed : add(mul(moments.momentum!, momentum), decayed)
      return {
        parameter: sub(parameter, mul(direction, scalars.learningRate!)),
        moments: momentum === 0 ? {} : { momentum: direction },
      }
    },
  }
}
