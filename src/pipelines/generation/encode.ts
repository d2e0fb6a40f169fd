import { type Image, imageToPixels } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { hostTensor } from '../../runtime/index.js'
import { factorOf } from '../model-config.js'
import type { Latents } from './latents.js'
import type { Stage } from './stage.js'
import { tiled } from './windows/tiled.js'
import { wrapsOf } from './windows/variant.js'

/**
 * Latents of a picture of the stage's size: their mean, so that a picture starts from the same every time; by tiles if the
 * networks are of a variant that has them.
 *
 * @throws LatentkitError where the model's file holds no encoder.
 */
export async function encode(
  { model, parts, signal }: Pick<Stage, 'model' | 'parts' | 'signal'>,
  picture: Image,
): Promise<Latents> {
  const { tensors } = model.weights
  if (![...tensors.keys()].some(name => name.startsWith('first_stage_model.encoder.'))) {
    throw new LatentkitError(
      `generate: ${model.checkpoint.name} holds no encoder: it can paint, but not start from a picture; take a file with the whole first stage`,
    )
  }
  const run = await parts.get('encoder')
  const { width, height } = picture
  const z = await tiled(run, hostTensor(imageToPixels(picture), [1, 3, height, width]), {
    input: 'images',
    output: 'z',
    unit: factorOf(model.config),
    wraps: wrapsOf(parts.variant),
    signal,
  })
  return { data: z.data as Float32Array, shape: z.shape.slice(1) as unknown as Latents['shape'] }
}
