import { type Image, imageToPixels } from '../../../image/index.js'
import { factorOf } from '../../model-config.js'
import { decode } from '../decode.js'
import type { Parts } from '../parts.js'
import type { Stage } from '../stage.js'
import { type Colours, findColours, paintColours } from './colours.js'
import { openTaesd } from './taesd.js'

/** Paints what pictures are expected to become. */
export interface Previews extends AsyncDisposable {
  /** Pictures of latents [channels, height, width] each. */
  paint(latents: readonly Float32Array[]): Promise<Image[]>
}

const nothing = async () => {}

/** Opens the painter of previews that a plan asks for; undefined where it asks for none. */
export async function openPreviews(stage: Stage): Promise<Previews | undefined> {
  const { previewEvery, taesd, previewBy = taesd ? 'taesd' : 'decoder' } = stage.plan
  if (previewEvery === undefined) return undefined
  if (previewBy === 'taesd') return openTaesd(stage, taesd!)
  if (previewBy === 'decoder')
    return { paint: latents => decode(stage, stage.plan, latents), [Symbol.asyncDispose]: nothing }
  return {
    [Symbol.asyncDispose]: nothing,
    async paint(latents) {
      const colours = await coloursOf(stage)
      return latents.map(one => paintColours(colours, one, stage.latents, stage.plan))
    },
  }
}

/** Of decoders, which are found once. */
const found = new WeakMap<Parts, Promise<Colours>>()

function coloursOf(stage: Stage): Promise<Colours> {
  const { parts, plan, latents, model } = stage
  const known = found.get(parts)
  if (known) return known
  const finding = findColours(latents, factorOf(model.config), async flat =>
    (await decode(stage, plan, flat)).map(imageToPixels),
  )
  found.set(parts, finding)
  finding.catch(() => found.delete(parts))
  return finding
}
