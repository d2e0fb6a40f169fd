import { z } from 'zod'
import { slerp } from '../../diffusion/index.js'
import type { Image } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import type { GenerateEvent, GenerateOptions } from '../generation/events.js'
import { checkLatents, type Latents, latentsSchema } from '../generation/latents.js'
import type { Model } from '../model.js'
import { fitted, pictureSize } from '../settings/init.js'
import { seed } from '../settings/pictures.js'
import { pictureSetting, task } from './task.js'

/**
 * Paints the frames of a way: between two prompts, the noise of two seeds, the latents of two pictures, or several of
 * these at once. The first and the last frame are the pictures at its ends.
 *
 * @throws SchemaError for settings that are unknown or out of range, LatentkitError where a way has no end.
 * @example
 * for await (const event of interpolate(model, 'red heart', { toPrompt: 'blue heart', seed: 7, frames: 8 })) …
 */
export const interpolate = task({
  summary: 'Paint the frames between two prompts, seeds or pictures',
  shape: {
    toPrompt: z.string().optional().describe('the prompt at the end'),
    toSeed: seed.optional().describe('the seed at the end'),
    image: pictureSetting('the picture at the beginning').optional(),
    toImage: pictureSetting('the picture at the end').optional(),
    latents: latentsSchema.optional().describe('instead of a picture, its latents at the beginning'),
    toLatents: latentsSchema.optional().describe('and at the end'),
    frames: z.int().min(2).max(10_000).default(8).describe('pictures, both ends among them'),
    seed: seed.optional().describe('at the beginning; drawn by chance if not given'),
    strength: z.number().positive().max(1).default(0.5).describe('how much of pictures is painted anew'),
  },
  examples: [
    {
      line: 'latentkit interpolate "red heart" --to-prompt "blue heart" --seed 7 -o frame.png',
      what: 'frame-1.png to frame-8.png',
    },
    {
      line: 'latentkit interpolate "red heart" --seed 7 --to-seed 8 --frames 24 -o frame.png',
      what: 'between two seeds',
    },
    { line: 'latentkit interpolate "a cat" --image a.png --to-image b.png -o frame.png', what: 'between two pictures' },
  ],
  start(model, prompt, settings, options) {
    const { toPrompt, toSeed, image, toImage, latents, toLatents } = settings
    const [from, to] = [image ?? latents, toImage ?? toLatents]
    if (toPrompt === undefined && toSeed === undefined && to === undefined)
      throw new LatentkitError('interpolate: the way has no end; give the prompt, seed, picture or latents there')
    if ((from === undefined) !== (to === undefined))
      throw new LatentkitError(
        'interpolate: between pictures both ends are wanted; give one at the beginning and one at the end',
      )
    if ((image && latents) || (toImage && toLatents))
      throw new LatentkitError('interpolate: an end is a picture or latents; leave one of them out')
    return frames(model, prompt, { ...settings, seed: settings.seed ?? Math.floor(Math.random() * 2 ** 32) }, options)
  },
})

interface Way {
  readonly toPrompt?: string | undefined
  readonly toSeed?: number | undefined
  readonly image?: Image | undefined
  readonly toImage?: Image | undefined
  readonly latents?: Latents | undefined
  readonly toLatents?: Latents | undefined
  readonly frames: number
  readonly seed: number
  readonly strength: number
}

async function* frames(
  model: Model,
  prompt: string,
  { toPrompt, toSeed, frames, seed, strength, ...way }: Way,
  options: GenerateOptions,
): AsyncGenerator<GenerateEvent, void> {
  const ends = await latentsOf(model, way, options)
  for (let frame = 0; frame < frames; frame++) {
    const toShare = frame / (frames - 1)
    const settings: GenerateOptions = {
      ...options,
      seed,
      ...(toPrompt !== undefined && { toPrompt, toShare }),
      ...(toSeed !== undefined && seedsAt(toSeed, toShare)),
      ...(ends && { latents: between(ends, toShare), strength }),
    }
    for await (const event of model.generate(prompt, settings)) {
      if (event.type === 'image') yield { ...event, index: frame }
      else if (event.type === 'step')
        yield { ...event, step: frame * event.total + event.step, total: frames * event.total }
      else if (frame === 0)
        yield { ...event, total: frames * event.total, seeds: Array.from({ length: frames }, () => seed) }
    }
  }
}

/** Noise between two seeds; at its end the second one's, also that of samplers which draw more. */
function seedsAt(toSeed: number, share: number): GenerateOptions {
  if (share === 1) return { seed: toSeed }
  return share === 0 ? {} : { variationSeed: toSeed, variationStrength: share }
}

/** Latents of what is at both ends, of one size; undefined where the way is not between pictures. */
async function latentsOf(
  model: Model,
  { image, toImage, latents, toLatents }: Pick<Way, 'image' | 'toImage' | 'latents' | 'toLatents'>,
  { width, height, fit = 'crop', signal }: GenerateOptions,
): Promise<readonly [Latents, Latents] | undefined> {
  const picture = image ?? toImage
  const own = picture && pictureSize(model.config, picture)
  const encoded = async (end: Image) => {
    const size = { width: width ?? own!.width, height: height ?? own!.height }
    return model.encode(fitted(end, size, fit), signal && { signal })
  }
  const from = latents ?? (image && (await encoded(image)))
  const to = toLatents ?? (toImage && (await encoded(toImage)))
  if (!from || !to) return undefined
  checkLatents(to, from.shape)
  return [from, to]
}

const between = ([from, to]: readonly [Latents, Latents], share: number): Latents => ({
  data: slerp(from.data, to.data, share),
  shape: from.shape,
})
