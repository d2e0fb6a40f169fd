import { z } from 'zod'
import type { Circular } from '../../nn/circular.js'
import { settingsGroup } from './group.js'
import { oneOf } from './lines.js'

const axes = ['x', 'y', 'xy'] as const satisfies readonly Circular[]
const side = z.int().positive()

/** How much of a picture the networks see at once, and how its ends meet. */
export const tiles = settingsGroup({
  shape: {
    seamless: z
      .enum(axes)
      .optional()
      .describe('ends that go on at the opposite ones: x left and right, y top and bottom, xy all, for textures'),
    window: side
      .optional()
      .describe('paint by overlapping windows of this side in pixels, for pictures beyond the size of training'),
    windowOverlap: z
      .number()
      .min(0)
      .max(0.95)
      .default(0.5)
      .describe('how far windows reach into one another, as a share of their side'),
    tile: side
      .optional()
      .describe('encode and decode by tiles of this side in pixels, which takes less memory (default all at once)'),
  },
  lines: {
    seamless: [
      {
        label: 'Tiling',
        when: axes => axes === 'xy',
        show: () => 'True',
        read: text => (text === 'True' ? 'xy' : undefined),
      },
      { label: 'Seamless', read: oneOf(axes) },
    ],
    window: { label: 'Window', read: Number },
    windowOverlap: { label: 'Window overlap', beside: 'window', read: Number },
    tile: { label: 'Tile', read: Number },
  },
})
