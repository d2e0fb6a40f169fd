import { silu } from '../../tensor/activation.js'
import { add, mul } from '../../tensor/binary.js'
import { type ConvAttributes, conv2d } from '../../tensor/conv.js'
import { groupNorm } from '../../tensor/normalize.js'
import { reshape } from '../../tensor/reshape.js'
import { concat, slice } from '../../tensor/slice.js'
import type { Tensor } from '../../tensor/tensor.js'
import { rewrite, topological } from '../../tensor/walk.js'
import { isSame3x3 } from '../lowerings/constant-winograd.js'
import type { Target } from '../target.js'

/** Bytes of an image from which on its copies decide over the peak, and those of a band. */
const sizes = { large: 192 * 2 ** 20, band: 16 * 2 ** 20 }

const bytesOfRow = ({ shape: [, channels, , width] }: Tensor): number => 4 * channels! * width!

/**
 * A norm, SiLU and 3x3 convolution of a large image in bands of rows, as far as rows do not depend on one another: what
 * lies between the normalised image and the result is then never there as a whole.
 */
export function inBands(roots: readonly Tensor[], target: Target, { large, band } = sizes): Tensor[] {
  if (target.training || target.device !== 'cpu') return [...roots]
  const users = new Map<Tensor, number>()
  for (const { inputs } of topological(roots)) for (const t of inputs) users.set(t, (users.get(t) ?? 0) + 1)
  const alone = (t: Tensor | undefined, op: string): t is Tensor => t?.op.name === op && users.get(t) === 1
  return rewrite(roots, (node, original) => {
    const [active] = original.inputs
    if (!isSame3x3(original) || !alone(active, 'silu') || !alone(active.inputs[0], 'groupNorm')) return undefined
    return bytesOfRow(active) * active.shape[2]! >= large ? bandsOf(node, band) : undefined
  })
}

function bandsOf({ inputs, attributes }: Tensor, bytes: number): Tensor {
  const [active, kernel, bias] = inputs as [Tensor, Tensor, Tensor?]
  const [x, weight, shift] = active.inputs[0]!.inputs
  const { groups, epsilon } = active.inputs[0]!.attributes as { groups: number; epsilon: number }
  const normal = groupNorm(x!, groups, undefined, undefined, { epsilon })
  const perChannel = [x!.shape[1]!, 1, 1]
  const height = x!.shape[2]!
  const rows = Math.max(Math.floor(bytes / bytesOfRow(x!)), 1)
  const bands: Tensor[] = []
  for (let start = 0; start < height; start += rows) {
    const end = Math.min(start + rows, height)
    const [above, below] = [start > 0 ? 1 : 0, end < height ? 1 : 0]
    const seen = slice(normal, { axis: 2, start: start - above, end: end + below })
    const scaled = add(mul(seen, reshape(weight!, perChannel)), reshape(shift!, perChannel))
    const padding = [1 - above, 1, 1 - below, 1] as const
    bands.push(conv2d(silu(scaled), kernel, bias, { ...(attributes as ConvAttributes), padding }))
  }
  return concat(bands, { axis: 2 })
}
