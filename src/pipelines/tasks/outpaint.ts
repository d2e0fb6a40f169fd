import { z } from 'zod'
import { crop, flatten } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { unitOf } from '../settings/size.js'
import { marginMask, meanColour, mirrored } from './canvas.js'
import { pictureSetting, task, withPictures } from './task.js'

const pixels = z.int().min(0).max(16_384)
const margin = (side: string) => pixels.optional().describe(`pixels to add ${side} (default those of all sides)`)

/**
 * Paints a picture on beyond its sides, and where it is transparent.
 *
 * @throws SchemaError for settings that are unknown or out of range, LatentkitError where nothing is to be added.
 * @example
 * await outpaint(model, 'a harbour at night', { image, left: 128, right: 128 }).image()
 */
export const outpaint = task({
  summary: 'Extend a picture beyond its sides',
  shape: {
    image: pictureSetting('the picture to extend'),
    sides: pixels.default(0).describe('pixels to add on every side'),
    left: margin('on the left'),
    right: margin('on the right'),
    top: margin('above'),
    bottom: margin('below'),
    overlap: pixels.default(8).describe('pixels inside the picture over which old and new blend'),
  },
  examples: [
    {
      line: 'latentkit outpaint "a harbour at night" --image harbour.png --left 128 --right 128',
      what: 'a wider picture',
    },
  ],
  start(model, prompt, { image, sides, left = sides, right = sides, top = sides, bottom = sides, overlap }, options) {
    const size = { width: image.width + left + right, height: image.height + top + bottom }
    if (left + right + top + bottom === 0 && image.channels === 3)
      throw new LatentkitError('outpaint: there is nothing to add; give sides, or left, right, top or bottom')
    // The canvas is of a size that can be painted; what is over is cut off again.
    const unit = unitOf(model.config)
    const over = (side: number) => (unit - (side % unit)) % unit
    const asked = { left, right, top, bottom }
    const margins = { left, top, right: right + over(size.width), bottom: bottom + over(size.height) }
    const settings = {
      ...options,
      image: mirrored(flatten(image, meanColour(image)), margins),
      mask: marginMask(image, margins, { overlap, asked }),
      width: size.width + over(size.width),
      height: size.height + over(size.height),
    }
    return withPictures(model.generate(prompt, settings), picture => crop(picture, 0, 0, size.width, size.height))
  },
})
