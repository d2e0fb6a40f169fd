import { add, and, mul, sub } from './binary.js'
import { constant } from './constant.js'
import { broadcastStrides, forEachOffset } from './evaluate.js'
import { emitExpression } from './expression.js'
import { matmul } from './matmul.js'
import { softmax } from './normalize.js'
import { sum, sumTo } from './reduce.js'
import { transpose } from './reshape.js'
import { broadcastShapes, type Shape, sameShape, show, sizeOf } from './shape.js'
import { concat, slice } from './slice.js'
import { apply, type Dtype, type Operation, type Tensor } from './tensor.js'
import { addAll } from './unary.js'
import { where } from './where.js'

/** What the operation carries. */
export type AttentionAttributes = {
  readonly scale: number
  readonly causal: boolean
  /** Whether the mask, if any, is added to the scores; otherwise it is boolean. */
  readonly additive: boolean
}

/** A score so low that softmax gives it 0, yet finite: a row that is masked throughout gives the mean, not NaN. */
const lowest = (dtype: Dtype): number => (dtype === 'f16' ? -65504 : -3e38)

const scoresShape = (q: Shape, k: Shape): Shape => [...q.slice(0, -1), k.at(-2)!]

const attentionOperation: Operation<AttentionAttributes> = {
  name: 'attention',
  infer: (inputs, { additive }) => {
    const [q, k, v, mask] = inputs as [Tensor, Tensor, Tensor, Tensor?]
    const leading = [k, v].every(t => sameShape(t.shape.slice(0, -2), q.shape.slice(0, -2)))
    const ranks = [q, k, v].every(t => t.shape.length === q.shape.length && t.shape.length >= 2)
    if (!ranks || !leading || q.shape.at(-1) !== k.shape.at(-1) || k.shape.at(-2) !== v.shape.at(-2)) {
      throw new RangeError(
        `attention: q ${show(q.shape)}, k ${show(k.shape)} and v ${show(v.shape)} do not fit: wanted [batch, heads, queries, size], [batch, heads, keys, size] and [batch, heads, keys, any]`,
      )
    }
    if (k.dtype !== q.dtype || v.dtype !== q.dtype) {
      throw new TypeError(`attention: dtypes ${q.dtype}, ${k.dtype} and ${v.dtype} differ: cast them to one`)
    }
    const scores = scoresShape(q.shape, k.shape)
    if (mask && !sameShape(broadcastShapes('attention: mask', mask.shape, scores), scores)) {
      throw new RangeError(`attention: mask ${show(mask.shape)} does not stretch to the scores ${show(scores)}`)
    }
    if (mask && mask.dtype !== (additive ? q.dtype : 'bool')) {
      throw new TypeError(`attention: the mask is ${mask.dtype}, wanted bool or ${q.dtype}`)
    }
    return { shape: [...q.shape.slice(0, -1), v.shape.at(-1)!], dtype: q.dtype }
  },
  evaluate: ([q, k, v, mask], { scale, causal, additive }, shape) => {
    const [queries, width] = shape.slice(-2) as [number, number]
    const [keys, size] = k!.shape.slice(-2) as [number, number]
    const scores = scoresShape(shape, k!.shape)
    const masks = new Float64Array(sizeOf(scores)).fill(additive ? 0 : 1)
    if (mask) {
      let i = 0
      forEachOffset(scores, [broadcastStrides(mask.shape, scores)], from => {
        masks[i++] = mask.data[from]!
      })
    }
    const out = new Float64Array(sizeOf(shape))
    for (let row = 0; row * width < out.length; row++) {
      const head = Math.floor(row / queries)
      const score = Float64Array.from({ length: keys }, (_, j) => {
        const bias = masks[row * keys + j]!
        if ((causal && j > row % queries) || (!additive && bias === 0)) return lowest('f32')
        let product = 0
        for (let d = 0; d < size; d++) product += q!.data[row * size + d]! * k!.data[(head * keys + j) * size + d]!
        return product * scale + (additive ? bias : 0)
      })
      const largest = score.reduce((a, b) => Math.max(a, b))
      const weights = score.map(s => Math.exp(s - largest))
      const total = weights.reduce((a, b) => a + b)
      for (let d = 0; d < width; d++) {
        for (let j = 0; j < keys; j++) {
          out[row * width + d]! += (weights[j]! / total) * v!.data[(head * keys + j) * width + d]!
        }
      }
    }
    return out
  },
  emit: (to, inputs, node) =>
    emitExpression(to, inputs, node, (q, k, v, mask) => attentionBySoftmax(q!, k!, v!, mask, node.attributes)),
  gradient: (g, node) => attentionGradient(g, node),
}

/** Which keys the queries see that start at the `from`-th of their sequence; undefined where they see all. */
function seenKeys(q: Tensor, k: Tensor, mask: Tensor | undefined, from: number, causal: boolean): Tensor | undefined {
  const given = mask?.dtype === 'bool' ? mask : undefined
  if (!causal) return given
  const [queries, keys] = [q.shape.at(-2)!, k.shape.at(-2)!]
  const past = Uint8Array.from({ length: queries * keys }, (_, i) => +(i % keys <= from + Math.floor(i / keys)))
  const seen = constant(past, [queries, keys], 'bool')
  return given ? and(given, seen) : seen
}

/** Softmax of the scaled and masked scores. */
function attentionWeights(
  q: Tensor,
  k: Tensor,
  mask: Tensor | undefined,
  seen: Tensor | undefined,
  scale: number,
): Tensor {
  const scores = matmul(mul(q, scale), transpose(k))
  const biased = mask && mask.dtype !== 'bool' ? add(scores, mask) : scores
  return softmax(seen ? where(seen, biased, lowest(q.dtype)) : biased)
}

/** Attention as two products with a softmax between. */
export function attentionBySoftmax(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  mask: Tensor | undefined,
  { scale, causal }: AttentionAttributes,
): Tensor {
  return matmul(attentionWeights(q, k, mask, seenKeys(q, k, mask, 0, causal), scale), v)
}

/** Above so many scores the gradient goes through the queries in blocks, each with at most so many. */
const BLOCK = 2 ** 24

/** The weights are computed again, so that nothing of the scores' size lives between forward and backward pass. */
export function attentionGradient(
  g: Tensor,
  node: Tensor<AttentionAttributes>,
  blockSize = BLOCK,
): (Tensor | undefined)[] {
  const [q, k, v, mask] = node.inputs as [Tensor, Tensor, Tensor, Tensor?]
  const { scale, causal, additive } = node.attributes
  const queries = q.shape.at(-2)!
  const rows = Math.ceil(queries / Math.ceil(Math.abs(sizeOf(scoresShape(q.shape, k.shape))) / blockSize))
  const parts: { q: Tensor; k: Tensor; v: Tensor; scores: Tensor }[] = []
  for (let start = 0; start < queries; start += rows) {
    const block = (t: Tensor) =>
      t.shape.length < 2 || t.shape.at(-2) !== queries
        ? t
        : slice(t, { axis: -2, start, end: Math.min(start + rows, queries) })
    const [someQueries, gradient, someMask] = [block(q), block(g), mask && block(mask)]
    const seen = seenKeys(someQueries, k, someMask, start, causal)
    const weights = attentionWeights(someQueries, k, someMask, seen, scale)
    // The row sums of weights times their gradient, taken where they are smallest (FlashAttention, section 3.1).
    const inner = sum(mul(gradient, block(node as unknown as Tensor)), { axes: -1, keep: true })
    const change = mul(weights, sub(matmul(gradient, transpose(v)), inner))
    // Only where a mask hides a whole row are weights of hidden keys not 0 already.
    const scores = seen && mask && !additive ? where(seen, change, 0) : change
    parts.push({
      q: mul(matmul(scores, k), scale),
      k: mul(matmul(transpose(scores), someQueries), scale),
      v: matmul(transpose(weights), gradient),
      scores,
    })
  }
  const joined = (of: 'q' | 'scores') =>
    concat(
      parts.map(part => part[of]),
      { axis: -2 },
    )
  return [
    joined('q'),
    addAll(parts.map(part => part.k)),
    addAll(parts.map(part => part.v)),
    ...(mask ? [additive ? sumTo(joined('scores'), mask.shape) : undefined] : []),
  ]
}

/** Attention's settings. */
export interface AttentionOptions {
  /** Factor of the scores; 1 / sqrt(size) by default. */
  scale?: number
  /** Stretches to [batch, heads, queries, keys]: booleans say which keys a query sees, numbers are added to the scores. */
  mask?: Tensor
  /** Whether a query sees only the keys up to its own place. */
  causal?: boolean
}

/**
 * Scaled dot-product attention: q [batch, heads, queries, size], k [batch, heads, keys, size], v [batch, heads, keys,
 * any] -> [batch, heads, queries, any]. Throws RangeError where the shapes do not fit.
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const { mask, causal = false, scale = 1 / Math.sqrt(q.shape.at(-1) ?? 1) } = options
  return apply(attentionOperation, mask ? [q, k, v, mask] : [q, k, v], {
    scale,
    causal,
    additive: mask !== undefined && mask.dtype !== 'bool',
  })
}
