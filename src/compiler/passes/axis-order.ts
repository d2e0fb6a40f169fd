import { reshape, transpose } from '../../tensor/reshape.js'
import { type Shape, sameShape } from '../../tensor/shape.js'
import { apply, type Tensor } from '../../tensor/tensor.js'
import { topological } from '../../tensor/walk.js'
import type { Target } from '../target.js'
import { regroup } from './regroup.js'

/** A tensor as it lies in memory: axis i of `stored` is axis order[i] of the tensor that it stands for. */
interface Stored {
  readonly stored: Tensor
  readonly order: readonly number[]
}

const natural = (rank: number): number[] => [...Array(rank).keys()]
const isNatural = (order: readonly number[]): boolean => order.every((axis, i) => axis === i)

/**
 * Moves transposes through the program until they meet and cancel. A transpose by itself only notes another order of
 * axes; operations that can work in that order do (elementwise ones, reductions, linear maps of the last axis); the
 * others get a copy in the order that they need. So a network that lowerings have written in another layout, operation
 * by operation, keeps that layout from end to end.
 */
export function settleAxisOrder(roots: readonly Tensor[], target: Target): Tensor[] {
  const stored = new Map<Tensor, Stored>()
  const copies = new Map<Tensor, Map<string, Tensor>>()
  const inOrder = (t: Tensor, order: readonly number[]): Tensor => {
    const known = stored.get(t)!
    if (isNatural(order.map(axis => known.order.indexOf(axis))) && order.length === known.order.length)
      return known.stored
    let made = copies.get(t)
    if (made === undefined) copies.set(t, (made = new Map()))
    const key = order.join()
    if (!made.has(key))
      made.set(
        key,
        moveAxes(
          known.stored,
          order.map(axis => known.order.indexOf(axis)),
        ),
      )
    return made.get(key)!
  }
  const plain = (t: Tensor): Tensor => inOrder(t, natural(t.shape.length))
  const keep = (t: Tensor): Stored => ({ stored: t, order: natural(t.shape.length) })

  const settle = (node: Tensor): Stored => {
    const { op, inputs, attributes } = node
    const [x] = inputs
    switch (op.name) {
      case 'transpose': {
        const { stored: t, order } = stored.get(x!)!
        const to = attributes.order as readonly number[]
        return { stored: t, order: order.map(axis => to.indexOf(axis)) }
      }
      case 'reshape': {
        const { stored: t, order } = stored.get(x!)!
        const grouped = isNatural(order) ? undefined : regroup(x!.shape, node.shape, order)
        if (grouped)
          return {
            stored: reshape(
              t,
              grouped.map(axis => node.shape[axis]!),
            ),
            order: grouped,
          }
        return keep(reshape(plain(x!), node.shape))
      }
      case 'matmul':
        return settleProduct(node)
      case 'contract': {
        const order = keepsLast(stored.get(x!)!.order) ? stored.get(x!)!.order : natural(x!.shape.length)
        return keep(
          apply(
            op,
            inputs.map(t => inOrder(t, order)),
            attributes,
          ),
        )
      }
      case 'layerNorm': {
        const { order } = stored.get(x!)!
        if (!keepsLast(order)) break
        return { stored: apply(op, [inOrder(x!, order), ...inputs.slice(1).map(plain)], attributes), order }
      }
    }
    const order = op.reorder && preferred(node)
    const reordered = order && op.reorder!(attributes, order)
    if (order && reordered) {
      const operands = inputs.map(t => fullRank(t, order))
      return { stored: apply(op, operands, reordered), order }
    }
    const operands = inputs.map(plain)
    return keep(operands.every((t, i) => t === inputs[i]) ? node : { ...node, inputs: operands })
  }

  const isAtHand = (t: Tensor, order: readonly number[]): boolean =>
    stored.get(t)!.order.join() === order.join() || copies.get(t)?.has(order.join()) === true

  /**
   * The order of the first operand of full size that is not in natural order, except where the natural one takes fewer
   * copies: smaller operands follow the larger.
   */
  const preferred = (node: Tensor): readonly number[] | undefined => {
    const whole = node.inputs.filter(t => sameShape(t.shape, node.shape))
    const operands = whole.length > 0 ? whole : node.inputs.filter(t => t.shape.length === node.shape.length)
    const copied = (order: readonly number[]) => operands.filter(t => !isAtHand(t, order)).length
    const other = operands.map(t => stored.get(t)!.order).find(order => !isNatural(order))
    return other && copied(natural(node.shape.length)) < copied(other) ? undefined : other
  }

  /** An operand with axes of size 1 in front up to the rank of `order`, in that order. */
  const fullRank = (t: Tensor, order: readonly number[]): Tensor => {
    const missing = order.length - t.shape.length
    if (missing === 0) return inOrder(t, order)
    return moveAxes(reshape(plain(t), [...Array<number>(missing).fill(1), ...t.shape]), order)
  }

  const settleProduct = (node: Tensor): Stored => {
    const [a, b] = node.inputs as [Tensor, Tensor]
    const { transposeA, transposeB } = node.attributes as { transposeA: boolean; transposeB: boolean }
    const linear = b.shape.length === 2 && a.shape.length > 2 && !transposeA
    const left = linear ? stored.get(a)!.order : undefined
    const order = left && keepsLast(left) ? left : natural(node.shape.length)
    const y = swappable(b, target)
    const flattens = linear && transposeB !== y.swapped
    const x = order === left || flattens ? { t: inOrder(a, order), swapped: false } : swappable(a, target)
    const attributes = { transposeA: transposeA !== x.swapped, transposeB: transposeB !== y.swapped }
    if (!flattens) return { stored: apply(node.op, [x.t, y.t], attributes), order }
    // As a product of two matrices it needs no operator of the runtime's own for the swapped operand.
    const product = apply(node.op, [flatten(x.t), y.t], attributes)
    return {
      stored: reshape(
        product,
        order.map(axis => node.shape[axis]!),
      ),
      order,
    }
  }

  /** An operand of a product, with its last two axes left swapped where the product can read them so. */
  const swappable = (t: Tensor, { contrib, device }: Target): { t: Tensor; swapped: boolean } => {
    const { stored: s, order } = stored.get(t)!
    const rank = order.length
    const swap = [...natural(rank - 2), rank - 1, rank - 2]
    const isSwapped = swap.every((axis, i) => order[i] === axis)
    return isSwapped && (rank === 2 || (contrib && device !== 'webgpu'))
      ? { t: s, swapped: true }
      : { t: plain(t), swapped: false }
  }

  for (const node of topological(roots)) stored.set(node, settle(node))
  return roots.map(plain)
}

const keepsLast = (order: readonly number[]): boolean => order.at(-1) === order.length - 1

const flatten = (t: Tensor): Tensor => {
  const last = t.shape.at(-1)!
  return reshape(t, [t.shape.slice(0, -1).reduce((product, size) => product * size, 1), last])
}

/** A transpose, or the reshape that does the same where only axes of size 1 change places. */
function moveAxes(t: Tensor, order: readonly number[]): Tensor {
  const shape: Shape = order.map(axis => t.shape[axis]!)
  const moved = order.filter(axis => t.shape[axis] !== 1)
  const still = moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)
  if (still) return sameShape(shape, t.shape) ? t : reshape(t, shape)
  return transpose(t, order)
}
