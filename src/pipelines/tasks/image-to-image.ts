import { pictureSetting, task } from './task.js'

/**
 * Paints a picture anew, as far as `strength` says; what is transparent in it is white. Source: Meng et al. 2021, SDEdit.
 *
 * @throws SchemaError for settings that are unknown or out of range, LatentkitError where the model cannot follow them.
 * @example
 * await imageToImage(model, 'red heart, noto emoji', { image, strength: 0.6 }).image()
 */
export const imageToImage = task({
  summary: 'Repaint a picture; --strength says how much of it',
  shape: { image: pictureSetting('the picture to start from') },
  examples: [
    {
      line: 'latentkit image-to-image "an oil painting of a harbour" --image sketch.png --strength 0.6',
      what: 'the sketch stays in its outlines',
    },
  ],
  start: (model, prompt, { image }, options) => model.generate(prompt, { ...options, image }),
})
