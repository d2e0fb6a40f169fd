import type { Request } from '../../conditioning/index.js'
import { flatten, greyLevels, type Image } from '../../image/index.js'
import type { ModelConfig } from '../model-config.js'
import type { Init } from './init.js'

/**
 * A request in which ControlNets that nobody gave a hint follow the picture that is started from or painted in, clear where
 * a mask is white: what such networks for painting in were trained on, and those that bring out details.
 */
export function withOwnHint({ conditioning }: ModelConfig, request: Request, init: Init | undefined): Request {
  const count = conditioning?.control?.weights.length
  if (count === undefined || request.hint !== undefined) return request
  const picture = init?.pictures?.[0] ?? (request.image as Image | undefined)
  if (picture === undefined) return request
  const mask = init?.mask ?? (request.mask as Image | undefined)
  return { ...request, hint: new Array<Image>(count).fill(mask ? cleared(picture, mask) : picture) }
}

/** A picture that is clear where a mask of its size is white. */
function cleared(picture: Image, mask: Image): Image {
  const { data, width, height } = flatten(picture)
  const levels = greyLevels(flatten(mask), 'mask')
  const rgba = Uint8Array.from({ length: 4 * width * height }, (_, i) => {
    const pixel = Math.floor(i / 4)
    return i % 4 < 3 ? data[3 * pixel + (i % 4)]! : levels[pixel]! < 128 ? 255 : 0
  })
  return { data: rgba, width, height, channels: 4 }
}
