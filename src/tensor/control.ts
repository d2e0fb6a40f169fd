import { mul } from './binary.js'
import { sameShape, show } from './shape.js'
import { apply, type Operation, type Tensor } from './tensor.js'

const stopGradientOperation: Operation = {
  name: 'stopGradient',
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  evaluate: ([x]) => x!.data,
  reorder: attributes => attributes,
  emit: (_, [x]) => x!,
  gradient: () => [undefined],
}

/** The same tensor, a constant to gradients. */
export const stopGradient = (x: Tensor): Tensor => apply(stopGradientOperation, [x], {})

const straightThroughOperation: Operation = {
  name: 'straightThrough',
  infer: ([forward, backward]) => {
    if (!sameShape(forward!.shape, backward!.shape) || forward!.dtype !== backward!.dtype) {
      throw new RangeError(
        `straightThrough: ${forward!.dtype} ${show(forward!.shape)} cannot stand in for ${backward!.dtype} ${show(backward!.shape)}: both must be equal`,
      )
    }
    return { shape: forward!.shape, dtype: forward!.dtype }
  },
  evaluate: ([forward]) => forward!.data,
  reorder: attributes => attributes,
  emit: (_, [forward]) => forward!,
  gradient: g => [undefined, g],
}

/** The value of `forward` with the gradient of `backward`: how a quantiser passes gradients on. */
export const straightThrough = (forward: Tensor, backward: Tensor): Tensor =>
  apply(straightThroughOperation, [forward, backward], {})

const withGradientsOperation: Operation = {
  name: 'withGradients',
  infer: ([value, ...pairs]) => {
    for (let i = 0; i < pairs.length; i += 2) {
      const [x, gradient] = [pairs[i]!, pairs[i + 1]!]
      if (value!.shape.length === 0 && sameShape(x.shape, gradient.shape)) continue
      throw new RangeError(
        `withGradients: value ${show(value!.shape)}, x ${show(x.shape)}, gradient ${show(gradient.shape)}: wanted a scalar and gradients of the shapes of what they belong to`,
      )
    }
    return { shape: value!.shape, dtype: value!.dtype }
  },
  evaluate: ([value]) => value!.data,
  emit: (_, [value]) => value!,
  gradient: (g, { inputs: [, ...pairs] }) => [
    undefined,
    ...pairs.map((_, i) => (i % 2 ? undefined : mul(g, pairs[i + 1]!))),
  ],
}

/**
 * A scalar with gradients of one's own in place of those of its computation, as pairs of a tensor and the gradient with
 * respect to it: what was computed on the way to the scalar need not be computed twice.
 */
export const withGradients = (value: Tensor, gradients: readonly (readonly [x: Tensor, gradient: Tensor])[]): Tensor =>
  apply(withGradientsOperation, [value, ...gradients.flat()], {})
