import type { Tensor } from '../tensor/tensor.js'
import type { Lowering } from './lowering.js'
import { attentionLowerings } from './lowerings/attention.js'
import { convLowerings } from './lowerings/conv2d.js'
import { groupNormLowerings } from './lowerings/group-norm.js'
import { poolLowerings } from './lowerings/pool.js'
import { resizeLowerings } from './lowerings/resize.js'
import { siluLowerings } from './lowerings/silu.js'
import { sineLowerings } from './lowerings/sine.js'
import type { Target } from './target.js'

/** Every lowering of every operation; the first that fits and pays is taken. */
export const lowerings: readonly Lowering[] = [
  ...convLowerings,
  ...groupNormLowerings,
  ...attentionLowerings,
  ...resizeLowerings,
  ...poolLowerings,
  ...siluLowerings,
  ...sineLowerings,
]

/** The lowering for a node on a target; undefined leaves the operation as it is. */
export function choose(node: Tensor, target: Target): Lowering | undefined {
  return lowerings.find(
    ({ op, fits, pays }) => op === node.op.name && fits(node, target) && (pays?.(node, target) ?? true),
  )
}
