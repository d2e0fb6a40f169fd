import { hires as settings } from '../settings/hires.js'
import { task } from './task.js'

/**
 * Paints small, where the model knows how things hold together, then larger over it.
 *
 * @throws SchemaError for settings that are unknown or out of range, LatentkitError where the model cannot follow them.
 * @example
 * await hires(model, 'a castle on a hill', { hires: 2, hiresStrength: 0.5 }).image()
 */
export const hires = task({
  summary: 'Paint large pictures in two passes: small first, then larger over it',
  shape: { hires: settings.shape.hires.unwrap().default(2).describe('how many times larger than width and height') },
  examples: [
    {
      line: 'latentkit hires "a castle on a hill" --hires 2 --hires-strength 0.5',
      what: 'twice the size that the model was trained on',
    },
  ],
  start: (model, prompt, { hires }, options) => model.generate(prompt, { ...options, hires }),
})
