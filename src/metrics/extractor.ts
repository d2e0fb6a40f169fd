import type { Image } from '../image/index.js'
import { type FeatureNetwork, featureNetworkNames, recogniseFeatures } from '../perceptual/feature-networks.js'
import { openSqueezenet } from '../perceptual/weights.js'
import { FileError } from '../platform/errors.js'
import type { SourceLike } from '../platform/types.js'
import { type Device, hostTensor } from '../runtime/index.js'
import { trace } from '../tensor/program.js'
import { f32 } from '../tensor/tensor.js'
import { openWeights } from '../weights/open-weights.js'
import { closingOnError } from '../weights/tensor-file.js'
import type { Features } from './features.js'
import { prepare } from './prepare.js'

/** Features of pictures and, by a classifier, logits of their classes. */
export interface Extracted {
  readonly features: Features
  readonly logits: Features | undefined
}

/** A feature network on a device. */
export interface Extractor extends AsyncDisposable {
  readonly network: FeatureNetwork
  /** Features of a batch of RGB pictures of any sizes. */
  extract(images: readonly Image[]): Promise<Extracted>
}

/** Which feature network, and how pictures reach it. */
export interface ExtractorOptions {
  /** The network's weights in a published layout; the SqueezeNet that comes with latentkit by default. */
  readonly weights?: SourceLike | undefined
  /** Pictures are resized as clean-fid does, not as the network's own tools do. */
  readonly clean?: boolean | undefined
}

/**
 * Puts a feature network on a device; dispose of it when done.
 *
 * @throws FileError for a file that holds no known network's weights.
 */
export async function openExtractor(device: Device, { weights, clean }: ExtractorOptions = {}): Promise<Extractor> {
  const file = weights === undefined ? await openSqueezenet() : await openWeights(weights)
  return closingOnError(file, async () => {
    const found = recogniseFeatures(file.tensors)
    if (found === undefined) {
      throw new FileError(file.name, `holds the weights of no known feature network; wanted ${featureNetworkNames}`)
    }
    const network: FeatureNetwork = clean
      ? { ...found, preparation: 'clean', label: `${found.label}, pictures resized as clean-fid` }
      : found
    const { size } = network
    const program = trace({ images: f32(-1, 3, size, size) }, (at, { images }) => network.build(at, images))
    const run = await device.compile(program, { weights: file })
    return {
      network,
      async extract(images) {
        const area = 3 * size * size
        const pixels = new Float32Array(images.length * area)
        for (const [i, image] of images.entries()) pixels.set(prepare(image, network), i * area)
        const outputs = await run({ images: hostTensor(pixels, [images.length, 3, size, size]) })
        const rowsOf = (name: 'features' | 'logits'): Features | undefined => {
          const tensor = outputs[name]
          return tensor && { data: tensor.data as Float32Array, rows: images.length, columns: tensor.shape[1]! }
        }
        return { features: rowsOf('features')!, logits: rowsOf('logits') }
      },
      async [Symbol.asyncDispose]() {
        await run.dispose()
        await file.close()
      },
    }
  })
}
