import { pictureSetting, task } from './task.js'

/**
 * Paints what a picture of depth tells, by a model that was trained on such; from noise, or from a picture too.
 *
 * @throws SchemaError for settings that are unknown or out of range, LatentkitError for a model that takes no depth.
 * @example
 * await depthToImage(model, 'two tigers', { depth, image, strength: 0.8 }).image()
 */
export const depthToImage = task({
  summary: 'Paint a scene whose depths a picture gives',
  details:
    'The picture of depth is grey, brighter where things are nearer; tools that estimate depth write such pictures.',
  shape: {
    depth: pictureSetting('how near things are, brighter where nearer'),
    image: pictureSetting('a picture to start from as well').optional(),
  },
  examples: [
    {
      line: 'latentkit depth-to-image "two tigers" -m 512-depth-ema.safetensors --depth cats.depth.png --image cats.png --strength 0.8',
      what: 'the cats become tigers where they stand',
    },
  ],
  start: (model, prompt, { depth, image }, options) =>
    model.generate(prompt, { ...options, depth, ...(image && { image }) }),
})
