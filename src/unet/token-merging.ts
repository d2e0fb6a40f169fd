import { argmax, oneHot } from '../tensor/arg.js'
import { add, div, less, sub } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import { gather } from '../tensor/gather.js'
import { gatherRows } from '../tensor/gather-rows.js'
import { matmul } from '../tensor/matmul.js'
import { max, sum } from '../tensor/reduce.js'
import { expandTo, reshape } from '../tensor/reshape.js'
import { concat, slice } from '../tensor/slice.js'
import { argsort } from '../tensor/sort.js'
import type { Tensor } from '../tensor/tensor.js'
import { cast, neg, sqrt, square } from '../tensor/unary.js'
import { where } from '../tensor/where.js'
import type { UnetChange } from './changes.js'

/** Which tokens of a map stay, and which may be merged into one of them. */
interface Partition {
  /** The first token of every 2x2 cell. */
  readonly kept: readonly number[]
  readonly others: readonly number[]
}

/**
 * Token merging (Bolya & Hoffman 2023, sections 3 and 4): at one level self-attention sees a share `ratio` of its tokens
 * less, each merged into the most similar of those that stand first in a 2x2 cell; afterwards each has its result. Source:
 * dbolya/tomesd, merge.py, bipartite_soft_matching_random2d with no_rand.
 */
export const tokenMerging = (ratio: number, at: { readonly level: number }): UnetChange => ({
  selfAttention: (plain, { level, size }) => {
    const parts = partition(size)
    const merged = Math.min(Math.floor(size[0] * size[1] * ratio), parts.others.length)
    if (level !== at.level || merged === 0 || parts.kept.length === 0) return undefined
    return x => {
      const { merge, unmerge } = matching(x, parts, merged)
      return unmerge(plain(merge(x)))
    }
  },
})

function partition([height, width]: readonly [number, number]): Partition {
  const first = (i: number) => {
    const [y, x] = [Math.floor(i / width), i % width]
    // A last odd row or column belongs to no cell.
    return y % 2 === 0 && x % 2 === 0 && y + 1 < height && x + 1 < width
  }
  const all = Array.from({ length: height * width }, (_, i) => i)
  return { kept: all.filter(first), others: all.filter(i => !first(i)) }
}

interface Matching {
  /** [batch, tokens, c] -> [batch, fewer, c]: what stays alone, then what stays with what is merged into it, as means. */
  merge(x: Tensor): Tensor
  /** Back to all tokens, each with the result of what it was merged into. */
  unmerge(x: Tensor): Tensor
}

/** How the `merged` tokens most similar to one that stays are merged, each sample by its own similarities. */
function matching(x: Tensor, { kept, others }: Partition, merged: number): Matching {
  const indices = (list: readonly number[]) => constant(list, [list.length], 'i64')
  const pick = (from: Tensor, list: readonly number[]) => gather(from, indices(list), { axis: 1 })
  const unit = div(x, sqrt(sum(square(x), { axes: 2, keep: true })))
  const similar = matmul(pick(unit, others), pick(unit, kept), { transposeB: true })
  const partner = argmax(similar, { axis: 2 })
  const order = argsort(max(similar, { axes: 2 }), { axis: 1 })
  const [batch, count] = [x.shape[0]!, others.length]
  const apart = count - merged
  const going = slice(order, { axis: 1, end: merged })
  const staying = apart > 0 ? slice(order, { axis: 1, start: merged }) : undefined
  const rowOf = (list: Tensor) => reshape(list, [batch, list.shape[1]!, 1])
  // Numbers of tokens as floats, which every device can compute with and which are exact up to 2^24.
  const partnerRow = rowOf(cast(partner, 'f32'))
  return {
    merge(x) {
      const [moving, still] = [pick(x, others), pick(x, kept)]
      const into = cast(reshape(gatherRows(partnerRow, going), [batch, merged]), 'i64')
      const hits = oneHot(into, kept.length)
      const total = add(still, matmul(hits, gatherRows(moving, going), { transposeA: true }))
      const means = div(total, add(reshape(sum(hits, { axes: 1 }), [batch, kept.length, 1]), 1))
      return staying ? concat([gatherRows(moving, staying), means], { axis: 1 }) : means
    },
    unmerge(x) {
      // Where in the order each of the others stands tells whether it stayed alone, and where it is now.
      const place = cast(argsort(neg(cast(order, 'f32')), { axis: 1 }), 'f32')
      const now = where(less(place, merged), add(cast(partner, 'f32'), apart), sub(place, merged))
      const ends = Float32Array.from(kept, (_, i) => apart + i)
      const ofKept = expandTo(constant(ends, [1, kept.length]), [batch, kept.length])
      // Others come first in `now`, then those that were kept: back into the order of the map.
      const all = concat([now, ofKept], { axis: 1 })
      const whence = new Array<number>(count + kept.length)
      for (const [i, token] of [...others, ...kept].entries()) whence[token] = i
      return gatherRows(x, cast(pick(all, whence), 'i64'))
    },
  }
}
