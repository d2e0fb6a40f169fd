import { actNorm } from '../nn/act-norm.js'
import type { Normalise } from '../nn/batch-norm.js'
import { torchDefault } from '../nn/initialisers.js'
import { leakyRelu } from '../tensor/activation.js'
import { conv2d } from '../tensor/conv.js'
import type { Scope } from '../tensor/program.js'
import type { Initialiser, Tensor } from '../tensor/tensor.js'

export interface DiscriminatorConfig {
  /** Channels of the images. */
  readonly in_channels: number
  /** Channels of the first layer. */
  readonly ndf: number
  /** Layers that halve the size. */
  readonly n_layers: number
  /** A trained shift and scale in place of batch normalisation. */
  readonly use_actnorm: boolean
}

interface Layer {
  /** Its number in the original's Sequential. */
  readonly index: number
  readonly out: number
  readonly stride: number
  readonly normalised: boolean
  readonly last?: boolean
}

function layersOf({ ndf, n_layers }: DiscriminatorConfig): Layer[] {
  const width = (n: number) => ndf * Math.min(2 ** n, 8)
  const inner = Array.from({ length: n_layers }, (_, i) => i + 1).map(n => ({
    index: 3 * n - 1,
    out: width(n),
    stride: n < n_layers ? 2 : 1,
    normalised: true,
  }))
  return [
    { index: 0, out: ndf, stride: 2, normalised: false },
    ...inner,
    { index: 3 * n_layers + 2, out: 1, stride: 1, normalised: false, last: true },
  ]
}

/** How the original's weights start; torch's own start is left to biases. Source: discriminator/model.py, weights_init. */
const weightInit: Initialiser = { kind: 'normal', std: 0.02 }
export const normInit: Initialiser = { kind: 'normal', mean: 1, std: 0.02 }

/**
 * Whether patches of images [batch, in_channels, h, w] in [-1, 1] look real: logits [batch, 1, h', w'], by what
 * normalisation it is told. Source: taming-transformers, discriminator/model.py, NLayerDiscriminator.
 */
export function discriminator(
  at: Scope,
  config: DiscriminatorConfig,
  images: Tensor,
  normalise: Normalise = actNorm,
): Tensor {
  let h = images
  for (const { index, out, stride, normalised, last } of layersOf(config)) {
    const here = at(`main.${index}`)
    const channels = h.shape[1]!
    // A batch norm takes away what a bias before it adds.
    const bias = !normalised || config.use_actnorm
    h = conv2d(
      h,
      here.parameter('weight', [out, channels, 4, 4], weightInit),
      bias ? here.parameter('bias', [out], torchDefault(channels * 16)) : undefined,
      { stride, padding: 1 },
    )
    if (normalised) h = normalise(at(`main.${index + 1}`), h)
    if (!last) h = leakyRelu(h, 0.2)
  }
  return h
}

/** Channels of the discriminator's batch norms by their paths below it. */
export const normWidths = (config: DiscriminatorConfig): ReadonlyMap<string, number> =>
  new Map(
    config.use_actnorm
      ? []
      : layersOf(config).flatMap(({ index, out, normalised }) =>
          normalised ? [[`main.${index + 1}`, out] as const] : [],
        ),
  )
