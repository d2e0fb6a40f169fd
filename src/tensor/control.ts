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
