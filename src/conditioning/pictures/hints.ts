import { z } from 'zod'
import { flatten, type Image, imageToPixels, resizeImage } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import type { Place, Request, RequestField } from '../contract.js'
import { pictureField } from '../fields.js'

const one = pictureField('')

/** A field of a request that is a picture for each of several networks; files with commas between on the command line. */
export const hintsField = (describe: string): RequestField<Image | Image[]> => ({
  schema: z.union([one.schema, z.array(one.schema)]),
  describe,
  placeholder: 'FILES',
  read: (text: string) => Promise.all(text.split(',').map(one.read)),
})

/** The pictures of such a field; a LatentkitError unless there are as many as networks. */
export function hintsOf(request: Request, field: string, { count, of }: { count: number; of: string }): Image[] {
  const pictures = ([] as (Image | undefined)[])
    .concat(request[field] as Image | Image[] | undefined)
    .flatMap(picture => picture ?? [])
  if (pictures.length !== count) {
    throw new LatentkitError(
      `generate: there are ${count} ${of} and ${pictures.length} pictures in "${field}": give each one, in their order`,
    )
  }
  return pictures
}

/** A picture as such networks read it: [3, height, width] in [0, 1], at the size of what is painted. */
export function hintPixels(picture: Image, { width, height }: Pick<Place, 'width' | 'height'>): Float32Array {
  const flat = flatten(picture)
  const same = flat.width === width && flat.height === height
  return imageToPixels(same ? flat : resizeImage(flat, width, height)).map(value => (value + 1) / 2)
}
