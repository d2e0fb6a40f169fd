import { grad } from '../../../autodiff/index.js'
import type { ModelPrediction } from '../../../diffusion/index.js'
import { resizePlanes, type Size } from '../../../image/index.js'
import { type Circular, circular } from '../../../nn/circular.js'
import { perceptualDistance } from '../../../perceptual/distance.js'
import { oneHot } from '../../../tensor/arg.js'
import { add, div, mul, sub } from '../../../tensor/binary.js'
import { constant } from '../../../tensor/constant.js'
import { matmul } from '../../../tensor/matmul.js'
import { logSoftmax } from '../../../tensor/normalize.js'
import { type Program, trace } from '../../../tensor/program.js'
import { sum } from '../../../tensor/reduce.js'
import { transpose } from '../../../tensor/reshape.js'
import { f32, i64, type Spec, type Tensor } from '../../../tensor/tensor.js'
import { neg, square } from '../../../tensor/unary.js'
import { type ClassifierConfig, noisyClassifier } from '../../../unet/classifier.js'
import type { ModelConfig } from '../../model-config.js'
import { decodeLatents, predict } from '../../networks.js'
import { latentShape } from '../../programs.js'

/** Inputs by name. */
type Specs = Readonly<Record<string, Spec>>

/** How a picture guides: by the squares of differences, or by how differently it looks. */
export type GuideBy = 'l2' | 'perceptual'

/** How a picture is compared, with what conditions the network has. */
export interface PictureGuideOptions {
  readonly batch: number
  readonly target: Size
  readonly by: GuideBy
  readonly conditions: Specs
  /** Axes whose ends are neighbours to the networks. */
  readonly seamless?: Circular | undefined
}

/**
 * The gradient, by noisy latents `x` [batch, c, h, w], of the distance between the pictures that they are expected to
 * become and a `target` [1, 3, th, tw] in [-1, 1]: through distance, resizing, decoder and UNet. `alpha` and `sigma`
 * [batch, 1, 1, 1] are of variance-preserving levels; conditions are inputs as the network takes them. Outputs `gradient`
 * and `distance`, the sum over the batch. Source: Rombach et al. 2022, appendix C, eq. 16.
 */
export function pictureGuideProgram(
  config: ModelConfig,
  size: Size,
  { batch, target, by, conditions, seamless }: PictureGuideOptions,
): Program {
  const scalar = f32(batch, 1, 1, 1)
  const specs: Record<string, Spec> = {
    x: f32(batch, ...latentShape(config, size)),
    t: f32(batch),
    alpha: scalar,
    sigma: scalar,
    target: f32(1, 3, target.height, target.width),
    ...Object.fromEntries(
      Object.entries(conditions).map(([name, { dtype, shape }]) => [
        name,
        { dtype, shape: [batch, ...shape.slice(1)] },
      ]),
    ),
  }
  return trace(specs, (at, inputs) => {
    const { x, t, alpha, sigma, target: wanted, ...given } = inputs as Record<string, Tensor>
    const decoded = decodeLatents(
      at,
      config,
      expected(x!, { alpha: alpha!, sigma: sigma! }, config.diffusion!.parameterization, x =>
        predict(at, config, { x, t: t!, ...given }),
      ),
    )
    const images = seamless ? circular([decoded], seamless)[0]! : decoded
    const small = resized(images, size, target)
    const distance =
      by === 'l2'
        ? mul(sum(square(sub(small, wanted!))), 0.5)
        : sum(perceptualDistance(at('perceptual'), small, wanted!))
    return { gradient: grad(distance, [x!])[0]!, distance }
  })
}

/** The image that x is expected to be, by the model's own prediction. */
function expected(
  x: Tensor,
  { alpha, sigma }: { alpha: Tensor; sigma: Tensor },
  prediction: ModelPrediction,
  network: (x: Tensor) => Tensor,
): Tensor {
  if (prediction === 'flow') {
    // x / (alpha + sigma) is in the flow's coordinates, where image and noise have shares that add up to 1.
    const total = add(alpha, sigma)
    const inFlow = div(x, total)
    return sub(inFlow, mul(div(sigma, total), network(inFlow)))
  }
  const raw = network(x)
  if (prediction === 'x0') return raw
  if (prediction === 'v') return sub(mul(alpha, x), mul(sigma, raw))
  return div(sub(x, mul(sigma, raw)), alpha)
}

/** Bicubic with antialiasing as Pillow's, as products with constant matrices, which have gradients. */
function resized(images: Tensor, from: Size, to: Size): Tensor {
  const across = matmul(images, axisMatrix(from.width, to.width))
  return transpose(matmul(transpose(across), axisMatrix(from.height, to.height)))
}

/** What resizes rows of numbers: [from, to]. */
function axisMatrix(from: number, to: number): Tensor {
  const identity = Float32Array.from({ length: from * from }, (_, i) => (i % (from + 1) === 0 ? 1 : 0))
  return constant(resizePlanes(identity, { width: from, height: from }, to, from), [from, to])
}

/**
 * The gradient, by noisy latents `x` [batch, c, h, w] at times `t` [batch], of -log p(`labels` | x, t) under a noisy
 * classifier. Source: Dhariwal and Nichol 2021, algorithm 2.
 */
export function classGuideProgram(
  config: ClassifierConfig,
  latents: readonly [number, number, number],
  batch: number,
): Program {
  return trace({ x: f32(batch, ...latents), t: f32(batch), labels: i64(batch) }, (at, { x, t, labels }) => {
    const log = logSoftmax(noisyClassifier(at('classifier'), config, x, t), { axis: 1 })
    const distance = neg(sum(mul(log, oneHot(labels, config.encoder.out_channels))))
    return { gradient: grad(distance, [x])[0]!, distance }
  })
}
