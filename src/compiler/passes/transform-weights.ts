import { sizeOf } from '../../tensor/shape.js'
import type { Tensor } from '../../tensor/tensor.js'
import { rewrite, topological } from '../../tensor/walk.js'
import { isSame3x3, winogradOfConstant } from '../lowerings/constant-winograd.js'
import { enlargedConv, isEnlarged3x3 } from '../lowerings/enlarged-conv.js'
import type { Target } from '../target.js'

/**
 * Bytes by which weights may grow where the target does not say: a tenth, at least what small networks have use for and
 * at most what gains at the 64x64 level of Stable Diffusion's UNet, whose peak then equals PyTorch's.
 */
const defaultGrowth = (weights: number): number => Math.min(Math.max(weights / 10, 24 * 2 ** 20), 192 * 2 ** 20)

/** Fewer tiles than this leave a product that waits for its weights; more where they are transformed in every run. */
const fewestTiles = { kept: 16, transformed: 64 }
/** A gain below a seventh is not worth the memory. */
const leastGain = 0.15

/** What a convolution can be instead: bytes by which its weight grows, and the part of the runtime's own time that is saved. */
interface Form {
  readonly growth: number
  readonly gain: number
  readonly rewrite: (node: Tensor) => Tensor
}

/**
 * 3x3 convolutions with constant weights by fewer products: of enlarged images in the small ones, others by Winograd's
 * algorithm. The weights' other form, two or four times as many numbers, depends on constants alone, so the runtime
 * computes it once, when it loads the model. They may take `target.weightGrowth` bytes more than they did; the
 * convolutions that gain most for each byte come first.
 */
export function transformConstantWeights(roots: readonly Tensor[], target: Target): Tensor[] {
  if (target.training || target.device !== 'cpu' || target.double) return [...roots]
  const nodes = topological(roots)
  const weights = nodes.reduce((sum, { op, shape }) => sum + (op.name === 'parameter' ? 4 * sizeOf(shape) : 0), 0)
  let left = target.smallWeights ? Number.POSITIVE_INFINITY : (target.weightGrowth ?? defaultGrowth(weights))
  const fewest = target.smallWeights ? fewestTiles.transformed : fewestTiles.kept
  const constants = new Set<Tensor>()
  const candidates: { node: Tensor; form: Form }[] = []
  for (const node of nodes) {
    const isConstant = node.inputs.length === 0 ? node.op.name !== 'input' : node.inputs.every(x => constants.has(x))
    if (isConstant) constants.add(node)
    else if (isSame3x3(node) && constants.has(node.inputs[1]!)) {
      const form = isEnlarged3x3(node) ? enlarged(node) : winograd(node)
      if (tilesOf(node) >= fewest && form.gain >= leastGain) candidates.push({ node, form })
    }
  }
  const forms = new Map<Tensor, Form>()
  for (const { node, form } of candidates.sort((a, b) => gainPerByte(b) - gainPerByte(a))) {
    if (form.growth > left) continue
    left -= form.growth
    forms.set(node, form)
  }
  return rewrite(roots, (node, original) => forms.get(original)?.rewrite(node))
}

const tilesOf = ({ shape: [n, , h, w] }: Tensor): number => Math.abs(n!) * Math.ceil(h! / 4) * Math.ceil(w! / 4)

const bytesOfTap = ({ inputs: [, weight] }: Tensor): number => 4 * weight!.shape[0]! * weight!.shape[1]!

/**
 * Measured with one thread (Sapphire Rapids), batch x channels x size: 2x320x64 0.25, 2x640x64 0.44, 2x640x32 0.44,
 * 2x1280x16 0.54, 1x512x64 0.39, 1x512x128 0.37, 1x256x128 0.03. The products take 0.3 of the convolution's time, the
 * transforms a time that grows with pixels and channels, that along the rows with their length.
 */
function winograd(node: Tensor): Form {
  const [x, weight] = node.inputs as [Tensor, Tensor]
  const [out, channels] = weight.shape as [number, number]
  return {
    growth: (36 - 9) * bytesOfTap(node),
    gain: 0.7 - 75 * (1 / channels + 1 / out) - x.shape[3]! / (6 * out),
    rewrite: winogradOfConstant,
  }
}

/** Four ninths of the products, and some time for putting the pixels in their places. */
const enlarged = (node: Tensor): Form => ({ growth: (16 - 9) * bytesOfTap(node), gain: 0.5, rewrite: enlargedConv })

/** Time saved for each byte: every tap takes part in as many products as there are tiles. */
const gainPerByte = ({ node, form }: { node: Tensor; form: Form }): number =>
  (form.gain * tilesOf(node) * bytesOfTap(node)) / form.growth
