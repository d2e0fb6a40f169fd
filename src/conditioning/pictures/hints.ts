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

/** A picture as such networks read it: [3, height, width] in [0, 1], at the size of what is painted; `clear` is what stands for no colour. */
export function hintPixels(
  picture: Image,
  { width, height }: Pick<Place, 'width' | 'height'>,
  { clear }: { readonly clear?: number } = {},
): Float32Array {
  const same = picture.width === width && picture.height === height
  const [flat, own] = [flatten(picture), picture].map(image => (same ? image : resizeImage(image, width, height)))
  const area = width * height
  return imageToPixels(flat!).map((value, i) =>
    clear !== undefined && own!.channels === 4 && own!.data[4 * (i % area) + 3]! < 128 ? clear : (value + 1) / 2,
  )
}
