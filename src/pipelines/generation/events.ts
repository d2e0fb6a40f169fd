import type { Image, Parameters } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import type { GenerateSettings } from '../settings/index.js'
import type { GeneratedImage } from './generated-image.js'
import type { Latents } from './latents.js'

/** What a generation tells while it works. */
export type GenerateEvent =
  | {
      readonly type: 'start'
      /** Steps of all pictures together. */
      readonly total: number
      readonly seeds: readonly number[]
      /** Tokens of the prompt that did not fit into the text encoder and are left out. */
      readonly tokensLeftOut: number
    }
  | {
      readonly type: 'step'
      readonly step: number
      readonly total: number
      /** What the pictures of this batch will be, as far as it is known, if previews were asked for. */
      readonly previews?: readonly Image[]
    }
  | {
      readonly type: 'image'
      readonly image: GeneratedImage
      /** What it was decoded from; a generation can start from it by the setting `latents`. */
      readonly latents: Latents
      /** Which of the pictures, from 0 on. */
      readonly index: number
      readonly seed: number
      readonly settings: Parameters
    }

/** Settings of a generation and what may end it early. */
export interface GenerateOptions extends GenerateSettings {
  /** Ends the generation between two steps, with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** A generation: iterate over its events, or await its picture. */
export interface Generation extends AsyncGenerator<GenerateEvent, void> {
  /** Runs to the first picture. */
  image(): Promise<GeneratedImage>
}

/** Events as a generation. */
export function generationOf(events: AsyncGenerator<GenerateEvent, void>): Generation {
  async function image(): Promise<GeneratedImage> {
    for await (const event of events) if (event.type === 'image') return event.image
    throw new LatentkitError('The generation has no picture left: it was iterated over before')
  }
  return Object.assign(events, { image })
}
