import { show } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { lowerings } from './choose.js'
import type { Target } from './target.js'
import { asItIs, useOf } from './use.js'

/** What a use can be lowered by, by name, where it is worth measuring: the operation has a choice that depends on sizes. */
export function candidates(node: Tensor, target: Target): string[] {
  const known = lowerings.filter(({ op }) => op === node.op.name)
  if (!known.some(({ pays }) => pays !== undefined)) return []
  const fitting = known.filter(({ fits }) => fits(node, target)).map(({ name }) => name)
  return node.op.emit === undefined ? fitting : [...fitting, asItIs]
}

/** Nodes with a choice, one for each use, as `useOf` tells them apart. */
export function usesWithChoice(nodes: readonly Tensor[], target: Target): Map<string, Tensor> {
  const found = new Map<string, Tensor>()
  for (const node of nodes) if (candidates(node, target).length > 1) found.set(useOf(node), node)
  return found
}

/** A use as people read it: `conv2d [16, 64, 32, 32] [64, 64, 3, 3]`. */
export const describeUse = ({ op, inputs }: Tensor): string =>
  `${op.name} ${inputs.map(({ shape }) => show(shape)).join(' ')}`
