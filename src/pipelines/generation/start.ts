import { addNoise } from '../../diffusion/index.js'
import type { Image } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { profiles, scale } from '../../samplers/index.js'
import { listensTo } from '../settings/init.js'
import { drawnLatents, type Encoded, encode } from './encode.js'
import { knownPart } from './known-part.js'
import { checkLatents, type Latents } from './latents.js'
import { joined } from './noise.js'
import type { Stage, Start } from './stage.js'

/**
 * Encodes what a plan starts from.
 *
 * @throws LatentkitError for latents of another shape than the picture's, or too few of them.
 */
export async function openStart(stage: Stage): Promise<Start> {
  const { init, seeds, profile } = stage.plan
  if (init === undefined) {
    return {
      known: undefined,
      latents: ({ startScale }, { start }) => scale(start(), startScale),
      finish: picture => picture,
    }
  }
  const { pictures, mask, latents = await encodedAll(stage, pictures ?? []) } = init
  const [picture] = pictures ?? []
  const all = checked([latents].flat() as Encoded[], stage.latents, seeds.length)
  const told = listensTo(stage.model.config.conditioning, 'image')
  const known = picture && mask && knownPart({ picture, mask, latents: all[0]!, profile, told })
  return {
    known: known?.latents,
    latents(way, { encoded, start }, { first, seeds: { length } }) {
      const originals = Array.from({ length }, (_, i) => all[first + i] ?? all[0]!)
      // A picture starts from the same every time, but for tools that draw.
      const latents = encoded ? drawnLatents(originals, encoded) : joined(originals.map(({ data }) => data))
      const fresh = known && init.strength === 1 && profile && profiles[profile].inpainting?.fromNoise
      return fresh ? scale(start(), way.startScale) : addNoise(latents, start(), way.start)
    },
    finish: painted => known?.finish(painted) ?? painted,
  }
}

async function encodedAll(stage: Stage, pictures: readonly Image[]): Promise<Encoded[]> {
  const latents: Encoded[] = []
  for (const picture of pictures) latents.push(await encode(stage, picture))
  return latents
}

function checked(all: readonly Encoded[], wanted: Latents['shape'], count: number): readonly Encoded[] {
  if (all.length !== 1 && all.length < count) {
    throw new LatentkitError(
      `generate: there are latents of ${all.length} pictures and ${count} to paint; give one for all, or one for each`,
    )
  }
  for (const latents of all) checkLatents(latents, wanted)
  return all
}
