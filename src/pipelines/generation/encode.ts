import { type Image, imageToPixels } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { type HostTensor, hostTensor } from '../../runtime/index.js'
import type { Noise } from '../../samplers/index.js'
import { sizeOf } from '../../tensor/shape.js'
import { factorOf } from '../model-config.js'
import { latentShape } from '../programs.js'
import type { Latents } from './latents.js'
import { joined } from './noise.js'
import type { Stage } from './stage.js'
import { tiled } from './windows/tiled.js'
import { wrapsOf } from './windows/variant.js'

/** What an encoder tells of a picture: the means of its latents and, where it tells that, how far each of them spreads. */
export interface Encoded extends Latents {
  readonly deviations?: Float32Array
}

/**
 * Latents of a picture of the stage's size; by tiles if the networks are of a variant that has them.
 *
 * @throws LatentkitError where the model's file holds no encoder.
 */
export async function encode(
  { model, parts, signal }: Pick<Stage, 'model' | 'parts' | 'signal'>,
  picture: Image,
): Promise<Encoded> {
  const { tensors } = model.weights
  if (![...tensors.keys()].some(name => name.startsWith('first_stage_model.encoder.'))) {
    throw new LatentkitError(
      `generate: ${model.checkpoint.name} holds no encoder: it can paint, but not start from a picture; take a file with the whole first stage`,
    )
  }
  const { width, height } = picture
  const z = await encodePixels({ model, parts, signal }, hostTensor(imageToPixels(picture), [1, 3, height, width]))
  const shape = latentShape(model.config, picture)
  const all = z.data as Float32Array
  const length = sizeOf(shape)
  const deviations = all.subarray(length)
  return { data: all.subarray(0, length), shape, ...(deviations.length > 0 && { deviations }) }
}

/** What the first stage tells of pictures [batch, 3, height, width] of the stage's size; by tiles as above. */
export async function encodePixels(
  { model, parts, signal }: Pick<Stage, 'model' | 'parts' | 'signal'>,
  images: HostTensor,
): Promise<HostTensor> {
  return tiled(await parts.get('encoder'), images, {
    input: 'images',
    output: 'z',
    unit: factorOf(model.config),
    wraps: wrapsOf(parts.variant),
    signal,
  })
}

/** Pictures' latents, those that spread drawn about their means. */
export function drawnLatents(pictures: readonly Encoded[], noise: Noise): Float32Array {
  const means = joined(pictures.map(({ data }) => data))
  if (pictures.some(({ deviations }) => deviations === undefined)) return means
  const deviations = joined(pictures.map(({ deviations }) => deviations!))
  const unit = noise()
  return means.map((mean, i) => mean + deviations[i]! * unit[i]!)
}
