import { type Image, pixelsToImage } from '../../image/index.js'
import { hostTensor } from '../../runtime/index.js'
import type { Size } from '../programs.js'
import { joined } from './noise.js'
import type { Stage } from './stage.js'

/** Pictures of latents [channels, height, width] of one size. */
export async function decode(
  { parts, signal }: Pick<Stage, 'parts' | 'signal'>,
  { width, height }: Size,
  latents: readonly Float32Array[],
): Promise<Image[]> {
  const run = await parts.get('decoder')
  const z = run.program.inputs.z!.shape
  const { images } = await run({ z: hostTensor(joined(latents), [latents.length, ...z.slice(1)]) }, { signal })
  return latents.map((_, index) => pixelsToImage(images!.data as Float32Array, width, height, { index }))
}
