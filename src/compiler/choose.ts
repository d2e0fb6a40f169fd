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
import { asItIs, useOf } from './use.js'

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

/** The lowering for a node on a target, by measurement where there is one; undefined leaves the operation as it is. */
export function choose(node: Tensor, target: Target): Lowering | undefined {
  const fitting = lowerings.filter(({ op, fits }) => op === node.op.name && fits(node, target))
  const fastest = fitting.length > 0 ? target.tuned?.[useOf(node)] : undefined
  if (fastest === asItIs && node.op.emit !== undefined) return undefined
  return fitting.find(({ name }) => name === fastest) ?? fitting.find(({ pays }) => pays?.(node, target) ?? true)
}
