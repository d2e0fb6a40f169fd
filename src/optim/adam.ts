import type { Optimiser, UpdateInputs } from '../runtime/state/optimiser.js'
import { add, div, mul, sub } from '../tensor/binary.js'
import type { Tensor } from '../tensor/tensor.js'
import { sqrt, square } from '../tensor/unary.js'

export interface AdamOptions {
  /** Decays of the averages of the gradient and of its square. */
  readonly betas?: readonly [number, number]
  readonly epsilon?: number
  readonly weightDecay?: number
}

/**
 * AdamW with decoupled weight decay (Loshchilov and Hutter 2019), in the order of operations of torch.optim.AdamW.
 *
 * @example
 * const state = await device.state(parameters, { optimiser: adamw({ betas: [0.9, 0.999], weightDecay: 0.01 }) })
 */
export function adamw({ betas = [0.9, 0.999], epsilon = 1e-8, weightDecay = 0.01 }: AdamOptions = {}): Optimiser {
  return {
    name: 'adamw',
    moments,
    scalars: (step, learningRate) => ({
      ...adamScalars(betas, step, learningRate),
      keep: 1 - learningRate * weightDecay,
    }),
    update: inputs => adamStep(inputs, mul(inputs.parameter, inputs.scalars.keep!), inputs.gradient, betas, epsilon),
  }
}

/** Adam (Kingma and Ba 2015), its weight decay added to the gradient, as torch.optim.Adam. */
export function adam({ betas = [0.9, 0.999], epsilon = 1e-8, weightDecay = 0 }: AdamOptions = {}): Optimiser {
  return {
    name: 'adam',
    moments,
    scalars: (step, learningRate) => adamScalars(betas, step, learningRate),
    update(inputs) {
      const { parameter, gradient } = inputs
      const decayed = weightDecay === 0 ? gradient : add(gradient, mul(parameter, weightDecay))
      return adamStep(inputs, parameter, decayed, betas, epsilon)
    },
  }
}

const moments = ['m', 'v']

/** Kingma and Ba 2015, end of section 2: the bias corrections folded into the step size. */
function adamScalars([beta1, beta2]: readonly [number, number], step: number, learningRate: number) {
  return { stepSize: learningRate / (1 - beta1 ** step), correction: Math.sqrt(1 - beta2 ** step) }
}

function adamStep(
  { moments, scalars }: UpdateInputs,
  parameter: Tensor,
  gradient: Tensor,
  [beta1, beta2]: readonly [number, number],
  epsilon: number,
) {
  const m = interpolate(moments.m!, gradient, 1 - beta1)
  const v = add(mul(moments.v!, beta2), mul(square(gradient), 1 - beta2))
  const denominator = add(div(sqrt(v), scalars.correction!), epsilon)
  return { parameter: sub(parameter, div(mul(m, scalars.stepSize!), denominator)), moments: { m, v } }
}

/** From a to b by weight, rounded as torch.lerp. */
function interpolate(a: Tensor, b: Tensor, weight: number): Tensor {
  return weight < 0.5 ? add(a, mul(sub(b, a), weight)) : sub(b, mul(sub(b, a), 1 - weight))
}
