import { conv2d } from '../nn/conv.js'
import { linear } from '../nn/linear.js'
import { relu } from '../tensor/activation.js'
import { div, sub } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import { maxPool2d } from '../tensor/pool.js'
import type { Scope } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { reshapeRest } from '../tensor/reshape.js'
import type { Tensor } from '../tensor/tensor.js'
import type { TensorInfo } from '../weights/tensor-file.js'
import { type ClipVisionConfig, clipVision } from './clip-vision.js'
import { inception } from './inception.js'
import { PIXEL_DEVIATION, PIXEL_MEAN } from './pixels.js'
import { squeezenet } from './squeezenet.js'
import { vgg16Features } from './vgg.js'

/**
 * How pictures are brought to a network's size: `torch`: bilinear without antialiasing, as pytorch-fid does;
 * `clean`: bicubic with antialiasing on floats, as clean-fid does; `pillow`: bilinear, rounded to bytes, as torchvision
 * does; `crop`: the shorter side bicubic, the middle cut out, as CLIP does.
 */
export type Preparation = 'torch' | 'clean' | 'pillow' | 'crop'

/** A network whose activations tell how pictures look. */
export interface FeatureNetwork {
  /** Names its architecture and weights; part of every printed figure. */
  readonly label: string
  /** Whether its distances carry the published names: FID, KID and Inception score are of one set of weights alone. */
  readonly published: boolean
  /** Side of the pictures in pixels. */
  readonly size: number
  readonly preparation: Preparation
  /** Features of a picture. */
  readonly columns: number
  /** Images [batch, 3, size, size] in [-1, 1] -> `features` [batch, columns] and, of a classifier, `logits`. */
  build(at: Scope, images: Tensor): { features: Tensor; logits?: Tensor }
}

type Tensors = ReadonlyMap<string, TensorInfo>

/** Finds out by names and shapes whose weights a file holds; undefined where they are of no network known here. */
export function recogniseFeatures(tensors: Tensors): FeatureNetwork | undefined {
  for (const recognise of [inceptionOf, vggOf, squeezenetOf, clipOf]) {
    const network = recognise(tensors)
    if (network) return network
  }
  return undefined
}

/** The networks whose weights `recogniseFeatures` knows, for messages. */
export const featureNetworkNames =
  "Inception v3 (pytorch-fid's pt_inception-2015-12-05 or torchvision's), VGG16 and SqueezeNet 1.1 of torchvision, a CLIP vision transformer (Hugging Face's or OpenCLIP's names)"

const rows = (tensors: Tensors, name: string): number | undefined => tensors.get(name)?.shape[0]

function inceptionOf(tensors: Tensors): FeatureNetwork | undefined {
  const classes = rows(tensors, 'fc.weight')
  if (classes === undefined || !tensors.has('Mixed_7c.branch_pool.conv.weight')) return undefined
  // TensorFlow's classifier has 1008 outputs, of which 8 mean nothing.
  const variant = classes === 1008 ? 'fid' : 'torchvision'
  return {
    label: variant === 'fid' ? 'Inception v3, 2015-12-05' : 'Inception v3 of torchvision',
    published: variant === 'fid',
    size: 299,
    preparation: variant === 'fid' ? 'torch' : 'pillow',
    columns: 2048,
    build: (at, images) => ({ ...inception(at, images, { variant, classes }) }),
  }
}

const likeImageNet = (images: Tensor): Tensor =>
  div(sub(images, constant(PIXEL_MEAN, [1, 3, 1, 1])), constant(PIXEL_DEVIATION, [1, 3, 1, 1]))

function vggOf(tensors: Tensors): FeatureNetwork | undefined {
  const classes = rows(tensors, 'classifier.6.weight')
  // VGG16's last convolution; VGG19 has more.
  if (classes === undefined || !tensors.has('features.28.weight') || tensors.has('features.34.weight')) return undefined
  return {
    label: 'VGG16 of torchvision',
    published: false,
    size: 224,
    preparation: 'pillow',
    columns: 4096,
    build(at, images) {
      const [batch] = images.shape as [number]
      const last = maxPool2d(vgg16Features(at, likeImageNet(images)).at(-1)!, { kernel: 2 })
      const classifier = at('classifier')
      const first = relu(linear(classifier('0'), reshapeRest(last, [batch, 'rest']), { out: 4096 }))
      const features = relu(linear(classifier('3'), first, { out: 4096 }))
      return { features, logits: linear(classifier('6'), features, { out: classes }) }
    },
  }
}

function squeezenetOf(tensors: Tensors): FeatureNetwork | undefined {
  // SqueezeNet 1.1 begins with 64 channels, 1.0 with 96.
  if (rows(tensors, 'features.0.weight') !== 64 || !tensors.has('features.12.expand3x3.weight')) return undefined
  const classes = rows(tensors, 'classifier.1.weight')
  return {
    label: 'SqueezeNet 1.1',
    published: false,
    size: 224,
    preparation: 'pillow',
    columns: 512,
    build(at, images) {
      const last = squeezenet(at, images, [12])[0]!
      const features = mean(last, { axes: [2, 3] })
      if (classes === undefined) return { features }
      const scores = relu(conv2d(at('classifier.1'), last, { out: classes, kernel: 1 }))
      return { features, logits: mean(scores, { axes: [2, 3] }) }
    },
  }
}

function clipOf(tensors: Tensors): FeatureNetwork | undefined {
  const config = clipVisionConfigOf(tensors)
  if (config === undefined) return undefined
  const { size, patch, width, layers, embed_dim } = config
  return {
    label: `CLIP ViT of ${layers} layers, ${width} wide, patches of ${patch}`,
    published: false,
    size,
    preparation: 'crop',
    columns: embed_dim,
    build: (at, images) => ({ features: clipVision(at, config, images).embedding }),
  }
}

/** Widths of a head in CLIP's larger vision towers; 64 in all others. Source: open_clip, model_configs (ViT-H, g, bigG). */
const headWidths: Readonly<Record<number, number>> = { 1280: 80, 1408: 88, 1664: 104 }

/** The configuration that the shapes of CLIP's weights tell; the activation they do not tell, quick_gelu unless said otherwise. */
export function clipVisionConfigOf(
  tensors: Tensors,
  activation: ClipVisionConfig['activation'] = 'quick_gelu',
): ClipVisionConfig | undefined {
  const names = tensors.has('visual.conv1.weight') ? 'openai' : 'huggingface'
  const openai = names === 'openai'
  const shapeOf = (own: string, other: string) => tensors.get(openai ? own : other)?.shape
  const patches = shapeOf('visual.conv1.weight', 'vision_model.embeddings.patch_embedding.weight')
  const positions = shapeOf('visual.positional_embedding', 'vision_model.embeddings.position_embedding.weight')
  const projection = shapeOf('visual.proj', 'visual_projection.weight')
  const first = openai ? 'visual.transformer.resblocks' : 'vision_model.encoder.layers'
  const inner = rows(tensors, openai ? `${first}.0.mlp.c_fc.weight` : `${first}.0.mlp.fc1.weight`)
  if (patches?.length !== 4 || positions?.length !== 2 || projection?.length !== 2 || inner === undefined)
    return undefined
  const [width, , patch] = patches as [number, number, number, number]
  const norm = openai ? 'ln_1' : 'layer_norm1'
  let layers = 0
  while (tensors.has(`${first}.${layers}.${norm}.weight`)) layers++
  return {
    size: patch * Math.round(Math.sqrt(positions[0]! - 1)),
    patch,
    width,
    layers,
    heads: width / (headWidths[width] ?? 64),
    inner,
    embed_dim: projection[openai ? 1 : 0]!,
    activation,
    names,
  }
}
