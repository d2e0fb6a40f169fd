import { z } from 'zod'
import { slerp } from '../../diffusion/index.js'
import type { Image } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import type { GenerateEvent, GenerateOptions } from '../generation/events.js'
import type { Latents } from '../generation/latents.js'
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
    const { toPrompt, toSeed, image, toImage } = settings
    if (toPrompt === undefined && toSeed === undefined && toImage === undefined)
      throw new LatentkitError('interpolate: the way has no end; give toPrompt, toSeed or toImage')
    if ((image === undefined) !== (toImage === undefined))
      throw new LatentkitError('interpolate: between pictures both ends are wanted; give image and toImage')
    return frames(model, prompt, { ...settings, seed: settings.seed ?? Math.floor(Math.random() * 2 ** 32) }, options)
  },
})

interface Way {
  readonly toPrompt?: string | undefined
  readonly toSeed?: number | undefined
  readonly image?: Image | undefined
  readonly toImage?: Image | undefined
  readonly frames: number
  readonly seed: number
  readonly strength: number
}

async function* frames(
  model: Model,
  prompt: string,
  { toPrompt, toSeed, image, toImage, frames, seed, strength }: Way,
  options: GenerateOptions,
): AsyncGenerator<GenerateEvent, void> {
  const ends = image && toImage && (await latentsOf(model, [image, toImage], options))
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

/** Latents of the pictures at both ends, of one size. */
async function latentsOf(model: Model, ends: readonly [Image, Image], { width, height, fit, signal }: GenerateOptions) {
  const own = pictureSize(model.config, ends[0])
  const size = { width: width ?? own.width, height: height ?? own.height }
  const latents: Latents[] = []
  for (const picture of ends)
    latents.push(await model.encode(fitted(picture, size, fit ?? 'crop'), signal && { signal }))
  return latents as [Latents, Latents]
}

const between = ([from, to]: readonly [Latents, Latents], share: number): Latents => ({
  data: slerp(from.data, to.data, share),
  shape: from.shape,
})
