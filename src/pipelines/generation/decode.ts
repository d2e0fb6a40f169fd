import { type Image, pixelsToImage, type Size } from '../../image/index.js'
import { hostTensor } from '../../runtime/index.js'
import { type ProfileName, profiles } from '../../samplers/index.js'
import { joined } from './noise.js'
import type { Stage } from './stage.js'
import { tiled } from './windows/tiled.js'
import { wrapsOf } from './windows/variant.js'

/**
 * Pictures of latents [channels, height, width] of one size, by tiles if the networks are of a variant that has them; in
 * bytes as the tool of a profile rounds.
 */
export async function decode(
  { parts, signal }: Pick<Stage, 'parts' | 'signal'>,
  { width, height, profile }: Size & { readonly profile?: ProfileName | undefined },
  latents: readonly Float32Array[],
): Promise<Image[]> {
  const run = await parts.get('decoder')
  const { inputs, outputs } = run.program
  const [, channels, , across] = inputs.z!.shape as [number, number, number, number]
  const factor = outputs.images!.shape[3]! / across
  const images = await tiled(
    run,
    hostTensor(joined(latents), [latents.length, channels, height / factor, width / factor]),
    { input: 'z', output: 'images', unit: 1, wraps: wrapsOf(parts.variant), signal },
  )
  const rounding = profile ? profiles[profile].rounding : 'round'
  return latents.map((_, index) => pixelsToImage(images.data as Float32Array, width, height, { index, rounding }))
}
