import { z } from 'zod'
import { task } from './task.js'

const side = z.int().positive().optional()

/**
 * Paints wider than a model was trained on: by windows that are painted together, or by its convolutions over all at
 * once. With the setting `seamless: 'x'` the right end goes on at the left. Sources: Bar-Tal et al. 2023, MultiDiffusion;
 * Rombach et al. 2022, section 4.3.2.
 *
 * @throws SchemaError for settings that are unknown or out of range, LatentkitError where the model cannot follow them.
 * @example
 * await panorama(model, 'mountains at dawn', { width: 2048, seamless: 'x' }).image()
 */
export const panorama = task({
  summary: 'Paint pictures wider than the model was trained on',
  details:
    'By windows, each sees as much as in training and all are painted together; by convolution, the network sees all at once, which suits models whose conditions say what is where.',
  shape: {
    by: z.enum(['windows', 'convolution']).default('windows').describe('how the network sees more than in training'),
    width: side.describe('in pixels (default four times as in training)'),
    window: side.describe('side of the windows in pixels (default as in training)'),
  },
  examples: [
    { line: 'latentkit panorama "mountains at dawn" --width 2048', what: 'by windows of the size of training' },
    { line: 'latentkit panorama "a forest" --seamless x', what: 'all around: its right end goes on at the left' },
  ],
  start: (model, prompt, { by, width = 4 * model.size, window = model.size }, options) =>
    model.generate(prompt, { ...options, width, ...(by === 'windows' && { window }) }),
})
