import { type Image, pixelsToImage } from '../../image/index.js'
import { hostTensor } from '../../runtime/index.js'
import type { Size } from '../programs.js'
import { joined } from './noise.js'
import type { Stage } from './stage.js'
import { tiled } from './windows/tiled.js'
import { wrapsOf } from './windows/variant.js'

/** Pictures of latents [channels, height, width] of one size, by tiles if the networks are of a variant that has them. */
export async function decode(
  { parts, signal }: Pick<Stage, 'parts' | 'signal'>,
  { width, height }: Size,
  latents: readonly Float32Array[],
): Promise<Image[]> {
  const run = await parts.get('decoder')
  const [, channels, ...tile] = run.program.inputs.z!.shape as [number, number, number, number]
  const factor = run.program.outputs.images!.shape[3]! / tile[1]
  const images = await tiled(
    async z => (await run({ z }, { signal })).images!,
    hostTensor(joined(latents), [latents.length, channels, height / factor, width / factor]),
    { tile, unit: 1, wraps: wrapsOf(parts.variant) },
  )
  return latents.map((_, index) => pixelsToImage(images.data as Float32Array, width, height, { index }))
}
