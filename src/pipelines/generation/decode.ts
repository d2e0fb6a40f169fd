import { type Image, pixelsToImage } from '../../image/index.js'
import { hostTensor } from '../../runtime/index.js'
import type { Batch, Stage } from './stage.js'

/** Pictures of a batch's latents. */
export async function decode(
  { parts, plan: { width, height }, signal }: Stage,
  { seeds, shape }: Batch,
  x: Float32Array,
): Promise<Image[]> {
  const run = await parts.get('decoder')
  const { images } = await run({ z: hostTensor(x, shape) }, { signal })
  return seeds.map((_, index) => pixelsToImage(images!.data as Float32Array, width, height, { index }))
}
