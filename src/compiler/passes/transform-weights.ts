import { sizeOf } from '../../tensor/shape.js'
import type { Tensor } from '../../tensor/tensor.js'
import { rewrite, topological } from '../../tensor/walk.js'
import { isSame3x3, winogradOfConstant } from '../lowerings/constant-winograd.js'
import { enlargedConv, isEnlarged3x3 } from '../lowerings/enlarged-conv.js'
import type { Target } from '../target.js'

/**
 * Bytes by which weights may grow where the target does not say: what small networks have use for; a fiftieth of large
 * ones, up to what two enlarging convolutions of Stable Diffusion's UNet gain most by.
 */
const defaultGrowth = (weights: number, { largeWeights }: Target): number =>
  largeWeights ? Math.min(weights / 50, 64 * 2 ** 20) : 24 * 2 ** 20

/** A product of fewer tiles than this waits for its weights. */
const fewestTiles = 16
/** A smaller gain is within what differs between processors. */
const worth = (gain: number): number => (gain >= 0.1 ? gain : 0)

/** What a convolution can be instead; times are parts of what the runtime's own convolution takes. */
interface Form {
  /** Bytes by which the weight grows where it is kept. */
  readonly growth: number
  /** Time that is saved where it is kept. */
  readonly gain: number
  /** Time that it takes to make it in every run. */
  readonly making: number
  readonly rewrite: (node: Tensor, kept: boolean) => Tensor
}

/** A form that may be kept, and what it then saves beyond what it does where it is not. */
interface Candidate {
  readonly node: Tensor
  readonly form: Form
  readonly more: number
}

/**
 * 3x3 convolutions with constant weights by fewer products: of enlarged images in the small ones, others by Winograd's
 * algorithm. The weights' other form, two or four times as many numbers, depends on constants alone. Of large networks it
 * is made in every run where there are many tiles, which takes no memory; as far as weights may grow, by
 * `target.weightGrowth` bytes, it is made once, when the model is loaded: for the convolutions that gain most by it for
 * each byte.
 */
export function transformConstantWeights(roots: readonly Tensor[], target: Target): Tensor[] {
  if (target.training || target.device !== 'cpu' || target.double) return [...roots]
  const nodes = topological(roots)
  const weights = nodes.reduce((sum, { op, shape }) => sum + (op.name === 'parameter' ? 4 * sizeOf(shape) : 0), 0)
  let left = target.smallWeights ? 0 : (target.weightGrowth ?? defaultGrowth(weights, target))
  const mayMake = target.smallWeights || target.largeWeights
  const constants = new Set<Tensor>()
  const candidates: Candidate[] = []
  const forms = new Map<Tensor, { form: Form; kept: boolean }>()
  for (const node of nodes) {
    const isConstant = node.inputs.length === 0 ? node.op.name !== 'input' : node.inputs.every(x => constants.has(x))
    if (isConstant) constants.add(node)
    else if (isSame3x3(node) && constants.has(node.inputs[1]!) && tilesOf(node) >= fewestTiles) {
      const form = isEnlarged3x3(node) ? enlarged(node) : winograd(node)
      const [kept, made] = [worth(form.gain), mayMake ? worth(form.gain - form.making) : 0]
      if (made > 0) forms.set(node, { form, kept: false })
      if (kept > made) candidates.push({ node, form, more: kept - made })
    }
  }
  for (const { node, form } of candidates.sort((a, b) => gainPerByte(b) - gainPerByte(a))) {
    if (form.growth > left) continue
    left -= form.growth
    forms.set(node, { form, kept: true })
  }
  return rewrite(roots, (node, original) => {
    const chosen = forms.get(original)
    return chosen?.form.rewrite(node, chosen.kept)
  })
}

/** Tiles of 16 pixels; an open batch is taken for two pictures, with and without their prompt. */
const tilesOf = ({ shape: [n, , h, w] }: Tensor): number =>
  (n! < 0 ? -2 * n! : n!) * Math.ceil(h! / 4) * Math.ceil(w! / 4)

const bytesOfTap = ({ inputs: [, weight] }: Tensor): number => 4 * weight!.shape[0]! * weight!.shape[1]!

/**
 * Measured with one thread (Sapphire Rapids), batch x channels x size: 2x320x64 0.25, 2x640x64 0.44, 2x640x32 0.44,
 * 2x1280x16 0.54, 1x512x64 0.39, 1x512x128 0.37, 1x256x128 0.03. The products take 0.3 of the convolution's time, the
 * transforms a time that grows with pixels and channels, that along the rows with their length; making the weights takes
 * that of a few dozen tiles.
 */
function winograd(node: Tensor): Form {
  const [x, weight] = node.inputs as [Tensor, Tensor]
  const [out, channels] = weight.shape as [number, number]
  return {
    growth: (36 - 9) * bytesOfTap(node),
    gain: 0.7 - 75 * (1 / channels + 1 / out) - x.shape[3]! / (6 * out),
    making: 18 / tilesOf(node),
    rewrite: winogradOfConstant,
  }
}

/** Four ninths of the products, and some time for putting the pixels in their places; the weights are cut in four. */
const enlarged = (node: Tensor): Form => ({
  growth: (16 - 9) * bytesOfTap(node),
  gain: 0.5,
  making: 60 / tilesOf(node),
  rewrite: enlargedConv,
})

/** Time saved for each byte: every tap takes part in as many products as there are tiles. */
const gainPerByte = ({ node, form, more }: Candidate): number => (more * tilesOf(node) * bytesOfTap(node)) / form.growth
