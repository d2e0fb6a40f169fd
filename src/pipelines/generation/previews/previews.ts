import { decode } from '../decode.js'
import type { Stage } from '../stage.js'
import { type Colours, fitColours, paintColours } from './colours.js'
import type { Previews } from './contract.js'
import { openTaesd } from './taesd.js'

const nothing = async () => {}

/** Opens the painter of previews that a plan asks for; undefined where it asks for none. */
export async function openPreviews(stage: Stage): Promise<Previews | undefined> {
  const { previewEvery, taesd, previewBy = taesd ? 'taesd' : 'decoder' } = stage.plan
  if (previewEvery === undefined) return undefined
  if (previewBy === 'taesd') return openTaesd(stage, taesd!)
  if (previewBy === 'decoder')
    return { paint: latents => decode(stage, stage.plan, latents), [Symbol.asyncDispose]: nothing }
  let colours: Colours | undefined
  return {
    [Symbol.asyncDispose]: nothing,
    async paint(all) {
      if (colours) return all.map(latents => paintColours(colours!, latents, stage.latents, stage.plan))
      // The first ones are decoded, to see what colours this generation has.
      const images = await decode(stage, stage.plan, all)
      colours = fitColours(
        images.map((image, i) => ({ image, latents: all[i]! })),
        stage.latents,
      )
      return images
    },
  }
}
