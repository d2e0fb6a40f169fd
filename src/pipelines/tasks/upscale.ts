import { z } from 'zod'
import { flatten, resizeImage } from '../../image/index.js'
import { listensTo } from '../settings/init.js'
import { unitOf } from '../settings/size.js'
import { pictureSetting, task } from './task.js'

/**
 * Makes a picture larger: by a model that was trained for it, by as much as it was; by any other, enlarged and painted
 * over as far as `strength` says.
 *
 * @throws SchemaError for settings that are unknown or out of range, LatentkitError where the model cannot follow them.
 * @example
 * await upscale(model, 'a photo of a lighthouse', { image: small }).image()
 */
export const upscale = task({
  summary: 'Make a picture larger',
  details: 'Models of super-resolution make it larger by their own factor, and all of it is painted anew.',
  shape: {
    image: pictureSetting('the small picture'),
    factor: z
      .number()
      .gt(1)
      .max(16)
      .default(2)
      .describe('how many times larger, for models that have no factor of their own'),
    strength: z
      .number()
      .positive()
      .max(1)
      .optional()
      .describe('how much is painted anew (default 0.35; by models of super-resolution 1)'),
  },
  examples: [
    {
      line: 'latentkit upscale "a lighthouse" --image lighthouse.png -m x4-upscaler-ema.safetensors',
      what: 'four times larger, with details that it makes up',
    },
    { line: 'latentkit upscale "red heart" --image heart.png --factor 2', what: 'by the bundled model' },
  ],
  start(model, prompt, { image, factor, strength }, options) {
    if (listensTo(model.config.conditioning, 'image')) return model.generate(prompt, { ...options, image, strength })
    const unit = unitOf(model.config)
    const [width, height] = [image.width, image.height].map(
      side => Math.max(1, Math.round((side * factor) / unit)) * unit,
    ) as [number, number]
    const larger = resizeImage(flatten(image), width, height, { filter: 'lanczos' })
    return model.generate(prompt, { ...options, width, height, image: larger, strength: strength ?? 0.35 })
  },
})
