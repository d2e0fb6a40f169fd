import { z } from 'zod'
import { readBytes } from '#platform'
import { checkImage, decodeImage, decodePng, flatten, type Image } from '../image/index.js'
import { LatentkitError } from '../platform/errors.js'
import type { Place, RequestField } from './contract.js'

/** An image that is handed in. */
export const imageSchema = z
  .custom<Image>(
    value => typeof value === 'object' && value !== null && 'data' in value && 'width' in value && 'channels' in value,
    { error: 'wanted an image: { data, width, height, channels }, as decodeImage gives', abort: true },
  )
  .superRefine((image, { addIssue }) => {
    try {
      checkImage(image)
    } catch (error) {
      addIssue({ code: 'custom', message: (error as Error).message })
    }
  })
  // Commands read such a setting from a file.
  .meta({ picture: true })

/** A field of a request that is a picture; a file on the command line. */
export const pictureField = (describe: string): RequestField<Image> => ({
  schema: imageSchema,
  describe,
  placeholder: 'FILE',
  read: async path => decodeImage(await readBytes(path), { file: path }),
})

/** A field of a request that is a map of classes; a PNG file on the command line, whose grey levels or palette numbers count. */
export const mapField = (describe: string): RequestField<Image> => ({
  ...pictureField(describe),
  read: async path => decodePng(await readBytes(path), { file: path, numbers: true }),
})

/** The picture that a generation changes or enlarges. */
export const imageField = pictureField('the picture to start from, to paint in or to enlarge')

/** A field that must be there, as the picture that it is. */
export function pictureOf(request: Readonly<Record<string, unknown>>, name: string, why: string): Image {
  const picture = request[name] as Image | undefined
  if (picture === undefined) throw new LatentkitError(`generate: this model ${why}; wanted is the picture "${name}"`)
  return flatten(picture)
}

/** Throws unless a picture is of the size that is painted. */
export function checkSize(name: string, { width, height }: Image, place: Pick<Place, 'width' | 'height'>): void {
  if (width === place.width && height === place.height) return
  throw new LatentkitError(
    `generate: ${name} has ${width}x${height} pixels and the picture ${place.width}x${place.height}; ` +
      'bring them to one size, or set width and height',
  )
}
