import type { Image } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { fitted, pictureSize } from '../settings/init.js'
import { checkSides } from '../settings/size.js'
import { alphaMask } from './canvas.js'
import { pictureSetting, task } from './task.js'

/**
 * Paints in a picture where a mask is white, or where the picture is transparent. Models that were trained to be told of
 * the mask are; with any other the known part is kept along the way. What is known stays as it is to the bit.
 *
 * @throws SchemaError for settings that are unknown or out of range, LatentkitError where picture and mask do not fit.
 * @example
 * await inpaint(model, 'a red sofa', { image: room, mask }).image()
 */
export const inpaint = task({
  summary: 'Repaint the part of a picture that a mask marks',
  details: 'Without a mask it paints where the picture is transparent. Grey levels of a mask blend.',
  shape: {
    image: pictureSetting('the picture to paint in'),
    mask: pictureSetting('white where to paint, black elsewhere (default where the picture is transparent)').optional(),
  },
  examples: [
    {
      line: 'latentkit inpaint "a red sofa" --image room.png --mask sofa.png',
      what: 'with any model; those trained for it fit in best with what is around',
    },
  ],
  start(model, prompt, { image, mask = maskOf(image) }, options) {
    if (mask.width !== image.width || mask.height !== image.height) {
      throw new LatentkitError(
        `inpaint: mask has ${mask.width}x${mask.height} pixels and image ${image.width}x${image.height}; bring them to one size`,
      )
    }
    const own = pictureSize(model.config, image)
    const size = checkSides(model.config, { width: options.width ?? own.width, height: options.height ?? own.height })
    const fit = (picture: Image) => fitted(picture, size, options.fit ?? 'crop')
    return model.generate(prompt, { ...options, ...size, image: fit(image), mask: fit(mask) })
  },
})

function maskOf(image: Image): Image {
  const mask = alphaMask(image)
  if (mask) return mask
  throw new LatentkitError(
    'inpaint: the picture has no mask, and no part of it is transparent; give a mask, white where to paint',
  )
}
