import type { Tensor } from '../../tensor/tensor.js'
import { rewrite, topological } from '../../tensor/walk.js'
import { isSame3x3, winogradOfConstant } from '../lowerings/constant-winograd.js'
import type { Target } from '../target.js'

/**
 * Bytes by which weights may grow where the target does not say: what gains at the 64x64 level of Stable Diffusion's UNet.
 * Its peak is 3.92 GB then, PyTorch's 4.03; with twice as much it is 4.23.
 */
const defaultGrowth = 192 * 2 ** 20

/** Fewer tiles than this leave a product that waits for its weights. */
const fewestTiles = 16
/** A gain below a seventh is not worth the memory. */
const leastGain = 0.15

/**
 * 3x3 convolutions with constant weights by Winograd's algorithm. The weights at its points, four times as many numbers,
 * depend on constants alone, so the runtime computes them once, when it loads the model. They may take
 * `target.weightGrowth` bytes more than they did; the convolutions that gain most for each byte come first.
 */
export function transformConstantWeights(roots: readonly Tensor[], target: Target): Tensor[] {
  if (target.training || target.device !== 'cpu' || target.double) return [...roots]
  let left = target.weightGrowth ?? defaultGrowth
  const constants = new Set<Tensor>()
  const candidates: Tensor[] = []
  for (const t of topological(roots)) {
    const isConstant = t.inputs.length === 0 ? t.op.name !== 'input' : t.inputs.every(x => constants.has(x))
    if (isConstant) constants.add(t)
    else if (isSame3x3(t) && constants.has(t.inputs[1]!) && pays(t)) candidates.push(t)
  }
  const transformed = new Set<Tensor>()
  for (const t of candidates.sort((a, b) => gainPerByte(b) - gainPerByte(a))) {
    if (growth(t) > left) continue
    left -= growth(t)
    transformed.add(t)
  }
  return rewrite(roots, (node, original) => (transformed.has(original) ? winogradOfConstant(node) : undefined))
}

const tilesOf = ({ shape: [n, , h, w] }: Tensor): number => Math.abs(n!) * Math.ceil(h! / 4) * Math.ceil(w! / 4)

/**
 * The part of the runtime's own time that is saved. Measured with one thread (Sapphire Rapids), batch x channels x size:
 * 2x320x64 0.25, 2x640x64 0.44, 2x640x32 0.44, 2x1280x16 0.54, 1x512x64 0.39, 1x512x128 0.37, 1x256x128 0.03. The products
 * take 0.3 of the convolution's time, the transforms a time that grows with pixels and channels, that along the rows with
 * their length.
 */
function gain({ inputs: [x, weight] }: Tensor): number {
  const [out, channels] = weight!.shape as [number, number]
  return 0.7 - 75 * (1 / channels + 1 / out) - x!.shape[3]! / (6 * out)
}

const pays = (t: Tensor): boolean => tilesOf(t.inputs[0]!) >= fewestTiles && gain(t) >= leastGain

/** Bytes that the weights take more at 36 points than as 9 taps. */
const growth = ({ inputs: [, weight] }: Tensor): number => (36 - 9) * 4 * weight!.shape[0]! * weight!.shape[1]!

/** Every weight does as many products as there are tiles. */
const gainPerByte = (t: Tensor): number => gain(t) * tilesOf(t.inputs[0]!)
