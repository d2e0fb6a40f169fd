import { mul } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import { type Shape, show } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'

/** What a network does where the original has nn.Dropout, told the place and the tensor; left out in inference. */
export type Dropout = (at: Scope, x: Tensor) => Tensor

/** Multiplies by masks from outside, named by their scope's path: elements are 0, or 1 / (1 - rate). */
export function dropoutBy(masks: Readonly<Record<string, Tensor>>): Dropout {
  return (at, x) => {
    const mask = masks[at.path]
    if (mask === undefined)
      throw new RangeError(`dropout: no mask for "${at.path}", wanted one of shape ${show(x.shape)}`)
    return mul(x, mask)
  }
}

/** The shapes of the masks that a network wants, by path: what to declare as inputs before it is traced for training. */
export function dropoutShapes(build: (dropout: Dropout) => void): Record<string, Shape> {
  const shapes: Record<string, Shape> = {}
  build((at, x) => {
    shapes[at.path] = x.shape
    return x
  })
  return shapes
}
