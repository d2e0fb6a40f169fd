import { constant, constantData } from '../../tensor/constant.js'
import { reshape, transpose } from '../../tensor/reshape.js'
import { sameShape, sizeOf } from '../../tensor/shape.js'
import { concat, pad } from '../../tensor/slice.js'
import type { Tensor } from '../../tensor/tensor.js'
import { rewrite } from '../../tensor/walk.js'
import { once } from '../lowerings/bilinear-axis.js'

/** Constants up to this size are computed when the program is compiled. */
const foldLimit = 4096
/** Constants up to this length are compared by their numbers; longer ones are one only where they are the same object. */
const comparedLength = 64

/**
 * The same values from fewer operations: equal operations on equal inputs are one (common subexpressions), what depends
 * on constants alone is computed now, and steps that undo each other or do nothing go. What nobody uses is dropped by
 * walking from the roots.
 */
export function simplify(roots: readonly Tensor[]): Tensor[] {
  const known = new Map<string, Tensor>()
  const numbers = new Map<Tensor, number>()
  const numberOf = (t: Tensor): number => {
    if (!numbers.has(t)) numbers.set(t, numbers.size)
    return numbers.get(t)!
  }
  const unique = (node: Tensor): Tensor => {
    const data = constantData(node)
    if (data !== undefined && data.length > comparedLength) return node
    const inputs = node.inputs.map(numberOf)
    const attributes = data === undefined ? textOf(node.attributes) : `${node.shape}:${Array.from(data)}`
    const key = `${node.op.name}/${node.dtype}/${inputs}/${attributes}`
    const same = known.get(key)
    if (same === undefined) known.set(key, node)
    return same ?? node
  }
  return rewrite(roots, node => unique(shorter(folded(node))))
}

/** Attributes as text, made once: they stay as they are from pass to pass. */
const textOf = once((attributes: object) => JSON.stringify(attributes))

function folded(node: Tensor): Tensor {
  const constants = node.inputs.map(constantData)
  if (
    node.inputs.length === 0 ||
    constants.some(c => c === undefined) ||
    sizeOf(node.shape) > foldLimit ||
    sizeOf(node.shape) < 0
  ) {
    return node
  }
  const values = node.inputs.map((t, i) => ({ shape: t.shape, data: Float64Array.from(constants[i]!) }))
  return constant(node.op.evaluate(values, node.attributes, node.shape), node.shape, node.dtype)
}

const isConstant = (t: Tensor, value: number): boolean => {
  const data = constantData(t)
  return data?.length === 1 && data[0] === value
}

/** One node in a simpler form, where an identity holds exactly. */
function shorter(node: Tensor): Tensor {
  const [x, y] = node.inputs as [Tensor, Tensor]
  const whole = (t: Tensor): boolean => sameShape(t.shape, node.shape)
  switch (node.op.name) {
    case 'mul':
      if (isConstant(y, 1) && whole(x)) return x
      if (isConstant(x, 1) && whole(y)) return y
      return withoutExpand(node)
    case 'add':
      if (isConstant(y, 0) && whole(x)) return x
      if (isConstant(x, 0) && whole(y)) return y
      return joinedPads(x, y) ?? withoutExpand(node)
    case 'sub':
    case 'div':
      return isConstant(y, node.op.name === 'sub' ? 0 : 1) && whole(x) ? x : withoutExpand(node)
    case 'reshape':
      if (sameShape(x.shape, node.shape)) return x
      return x.op.name === 'reshape' ? reshape(x.inputs[0]!, node.shape) : node
    case 'transpose': {
      const order = node.attributes.order as readonly number[]
      if (x.op.name !== 'transpose') return node
      const inner = x.attributes.order as readonly number[]
      return transpose(
        x.inputs[0]!,
        order.map(axis => inner[axis]!),
      )
    }
    case 'neg':
      return x.op.name === 'neg' ? x.inputs[0]! : node
    default:
      return node
  }
}

type Widths = readonly (readonly [number, number])[]

/** The sum of two tensors padded with zeros that lie side by side along one axis: the gradient of a split in parts. */
function joinedPads(x: Tensor, y: Tensor): Tensor | undefined {
  if ([x, y].some(t => t.op.name !== 'pad' || t.attributes.value !== 0)) return undefined
  const [a, b] = [x, y].map(t => t.attributes.widths) as [Widths, Widths]
  const differing = a.flatMap((width, axis) => (width.every((w, side) => w === b[axis]![side]) ? [] : [axis]))
  const [axis] = differing
  if (axis === undefined || differing.length > 1) return undefined
  const [first, second] = a[axis]![0] <= b[axis]![0] ? [x, y] : [y, x]
  const [early, late] = [first, second].map(t => (t.attributes.widths as Widths)[axis]!) as [Widths[0], Widths[0]]
  const end = early[0] + first.inputs[0]!.shape[axis]!
  if (end !== late[0]) return undefined
  const joined = concat([first.inputs[0]!, second.inputs[0]!], { axis })
  return pad(
    joined,
    a.map((width, i) => (i === axis ? [early[0], late[1]] : width)),
  )
}

/** Elementwise operations stretch their operands themselves: an expand before one is a needless copy. */
function withoutExpand(node: Tensor): Tensor {
  const inputs = node.inputs.map((t, i) => {
    const other = node.inputs[1 - i]!
    return t.op.name === 'expand' && sameShape(other.shape, node.shape) ? t.inputs[0]! : t
  })
  return inputs.every((t, i) => t === node.inputs[i]) ? node : { ...node, inputs }
}
