import { add, div, sub } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import { mean, sum } from '../tensor/reduce.js'
import type { Tensor } from '../tensor/tensor.js'
import { addAll, sqrt, square } from '../tensor/unary.js'
import { squeezenet } from './squeezenet.js'

/** Where features are compared: the outputs at 1/2, 1/4, 1/8 and 1/16 of the size. */
const LAYERS = [1, 4, 7, 10]

/**
 * How differently two batches of images [batch, 3, h, w] in [-1, 1] look: squared differences of SqueezeNet 1.1 features,
 * each position's brought to unit length, summed over channels, averaged over positions, summed over four layers. One
 * number an image, [batch]. This is no LPIPS: no weights were fitted to human judgements. The idea is that of Zhang et
 * al. 2018, eq. 1.
 */
export function perceptualDistance(at: Scope, a: Tensor, b: Tensor): Tensor {
  const ours = squeezenet(at, a, LAYERS)
  const theirs = squeezenet(at, b, LAYERS)
  return addAll(
    ours.map((features, i) =>
      mean(sum(square(sub(unitLength(features), unitLength(theirs[i]!))), { axes: 1 }), { axes: [1, 2] }),
    ),
  )
}

/** Positions' features over their length; 1e-10 as LPIPS has it, inside the root so that a dead position has a gradient of 0. */
const unitLength = (x: Tensor): Tensor => div(x, sqrt(add(sum(square(x), { axes: 1, keep: true }), 1e-10)))
