import { conv2d } from '../nn/conv.js'
import { add, div, sub } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import { mean, sum } from '../tensor/reduce.js'
import { reshape } from '../tensor/reshape.js'
import { resizeBilinear } from '../tensor/resize.js'
import type { Tensor } from '../tensor/tensor.js'
import { addAll, sqrt, square } from '../tensor/unary.js'
import { alexnetFeatures } from './alexnet.js'
import { squeezenetFeatures } from './squeezenet.js'
import { vgg16Features } from './vgg.js'

/** The networks for which heads were published, by the names that they have there. */
export const lpipsNetworks = ['vgg', 'alex', 'squeeze'] as const
export type LpipsNetwork = (typeof lpipsNetworks)[number]

/** Where SqueezeNet is looked at; its layers count as in torchvision. */
const SQUEEZENET_LAYERS = [1, 4, 7, 9, 10, 11, 12]

export interface LpipsOptions {
  readonly network: LpipsNetwork
  /** Channels of VGG's stages, where they are not the published ones. */
  readonly widths?: readonly number[] | undefined
}

/** What LPIPS looks at in images [batch, 3, h, w] in [-1, 1]: activations [batch, channels, h', w'] of its network. */
export function lpipsFeatures(at: Scope, images: Tensor, { network, widths }: LpipsOptions): Tensor[] {
  const statistic = (name: string) =>
    at('scaling_layer').parameter(name, [1, 3, 1, 1], { kind: 'constant', value: name === 'scale' ? 1 : 0 })
  const pixels = div(sub(images, statistic('shift')), statistic('scale'))
  if (network === 'vgg') return vgg16Features(at, pixels, widths)
  return network === 'alex' ? alexnetFeatures(at, pixels) : squeezenetFeatures(at, pixels, SQUEEZENET_LAYERS)
}

/**
 * LPIPS (Zhang et al. 2018, eq. 1) of two batches of images [batch, 3, h, w] in [-1, 1]: [batch]. Parameters:
 * `scaling_layer`, `features` as in torchvision, the heads `lin0.model.1` and so on; see `openLpips`.
 */
export function lpips(at: Scope, a: Tensor, b: Tensor, options: LpipsOptions): Tensor {
  const maps = headMaps(at, lpipsFeatures(at, a, options), lpipsFeatures(at, b, options))
  return addAll(maps.map(layerDistance))
}

/** Each layer's weighted squared differences of features brought to unit length: [batch, 1, h', w']. */
export const headMaps = (at: Scope, first: readonly Tensor[], second: readonly Tensor[]): Tensor[] =>
  first.map((features, i) => {
    const difference = square(sub(unitLength(features), unitLength(second[i]!)))
    return conv2d(at(`lin${i}.model.1`), difference, { out: 1, kernel: 1, bias: false })
  })

/** A layer's share of the distance: [batch]. */
export const layerDistance = (map: Tensor): Tensor => reshape(mean(map, { axes: [1, 2, 3] }), [map.shape[0]!])

/** Where the distance lies: all layers' maps brought to one size, [batch, 1, height, width]. */
export const spatialDistance = (maps: readonly Tensor[], size: readonly [number, number]): Tensor =>
  addAll(maps.map(map => resizeBilinear(map, size)))

/** Positions' features over their length. 1e-20 gives the root a gradient at dead positions, where the original has none. */
const unitLength = (x: Tensor): Tensor => div(x, add(sqrt(add(sum(square(x), { axes: 1, keep: true }), 1e-20)), 1e-10))
