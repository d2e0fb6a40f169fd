import { type ConvAttributes, conv2d } from '../tensor/conv.js'
import type { Program } from '../tensor/program.js'
import { concat, slice } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { rewrite } from '../tensor/walk.js'

/** Axes of pictures [batch, channels, height, width] whose two ends are neighbours. */
export type Circular = 'x' | 'y' | 'xy'

/**
 * Tensors whose convolutions see the other end of an axis where they would see zeros beyond this one: all that norms,
 * attention and resizing do between is the same wherever a picture begins, so one rolled round gives the same, rolled.
 *
 * @example
 * const [texture] = circular([unet(at, config, inputs)], 'xy')
 */
export const circular = (roots: readonly Tensor[], axes: Circular): Tensor[] =>
  rewrite(roots, node => (node.op.name === 'conv2d' ? wrapped(node, axes) : undefined))

/** The program of such tensors. */
export function circularProgram(program: Program, axes: Circular): Program {
  const names = Object.keys(program.outputs)
  const tensors = circular(Object.values(program.outputs), axes)
  return { ...program, outputs: Object.fromEntries(names.map((name, i) => [name, tensors[i]!])), marks: {} }
}

function wrapped({ inputs, attributes }: Tensor, axes: Circular): Tensor {
  const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor?]
  const { padding, ...options } = attributes as ConvAttributes
  const [top, left, bottom, right] = padding
  const [across, down] = [axes.includes('x'), axes.includes('y')]
  const wide = across ? extended(x, 3, left, right) : x
  const all = down ? extended(wide, 2, top, bottom) : wide
  return conv2d(all, weight, bias, {
    ...options,
    padding: [down ? 0 : top, across ? 0 : left, down ? 0 : bottom, across ? 0 : right],
  })
}

/** An axis with so much of its end before it, and of its beginning after it. */
function extended(x: Tensor, axis: 2 | 3, before: number, after: number): Tensor {
  const size = x.shape[axis]!
  const parts = [
    ...(before > 0 ? [slice(x, { axis, start: size - before })] : []),
    x,
    ...(after > 0 ? [slice(x, { axis, end: after })] : []),
  ]
  return parts.length > 1 ? concat(parts, { axis }) : x
}
