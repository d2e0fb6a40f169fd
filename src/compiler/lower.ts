import { inlineCheckpoints } from '../autodiff/checkpoint.js'
import { gradientName } from '../autodiff/gradients.js'
import type { Program } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import { rewrite } from '../tensor/walk.js'
import { choose } from './choose.js'
import { settleAxisOrder } from './passes/axis-order.js'
import { inBands } from './passes/bands.js'
import { halfProducts } from './passes/half-products.js'
import { recompute } from './passes/recompute.js'
import { simplify } from './passes/simplify.js'
import { transformConstantWeights } from './passes/transform-weights.js'
import { widenOperands } from './passes/widen.js'
import type { Target } from './target.js'

/**
 * The same program in the operations that suit a device best: each operation by the lowering chosen for it, transposes
 * moved out of the way, common and constant parts computed once.
 */
export function lower(program: Program, target: Target): Program {
  const names = Object.keys(program.outputs)
  let roots: Tensor[] = inlineCheckpoints(Object.values(program.outputs))
  if (target.half) roots = halfProducts(roots)
  roots = transformConstantWeights(roots, target)
  roots = inBands(roots, target)
  roots = rewrite(roots, node => choose(node, target)?.rewrite(node, target))
  roots = simplify(roots)
  roots = simplify(settleAxisOrder(roots, target))
  if (target.device !== 'webgpu') roots = widenOperands(roots)
  if (target.training) {
    const isGradient = (_: Tensor, i: number) => names[i]!.startsWith(gradientName(''))
    const forward = roots.filter((t, i) => !isGradient(t, i))
    const backward = recompute(forward, roots.filter(isGradient))
    roots = roots.map((t, i) => (isGradient(t, i) ? backward.shift()! : t))
  }
  return { ...program, outputs: Object.fromEntries(names.map((name, i) => [name, roots[i]!])) }
}
