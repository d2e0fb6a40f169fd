import { checkImage, type Image } from './image.js'

export interface GridOptions {
  /** Pictures a row; by default as square as it goes. */
  readonly columns?: number
  /** Pixels between pictures and around them. */
  readonly gap?: number
  readonly background?: readonly [number, number, number]
}

/**
 * One picture of many, row by row; smaller ones lie at the upper left of their cells.
 *
 * Throws RangeError for no pictures, TypeError for one with alpha.
 *
 * @example await encodePng(gridOfImages(samples, { columns: 4 }))
 */
export function gridOfImages(images: readonly Image[], options: GridOptions = {}): Image {
  const { columns = Math.ceil(Math.sqrt(images.length)), gap = 2, background = [255, 255, 255] } = options
  if (images.length === 0 || !Number.isInteger(columns) || columns < 1) {
    throw new RangeError(`Cannot make a grid of ${images.length} pictures in ${columns} columns; 1 and more can be`)
  }
  images.forEach(checkImage)
  if (images.some(image => image.channels !== 3))
    throw new TypeError('Pictures of a grid have no alpha; flatten them first')
  const cellWidth = Math.max(...images.map(image => image.width)) + gap
  const cellHeight = Math.max(...images.map(image => image.height)) + gap
  const width = columns * cellWidth + gap
  const height = Math.ceil(images.length / columns) * cellHeight + gap
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < data.length; i++) data[i] = background[i % 3]!
  images.forEach((image, i) => {
    const left = gap + (i % columns) * cellWidth
    const top = gap + Math.floor(i / columns) * cellHeight
    for (let y = 0; y < image.height; y++) {
      const row = image.data.subarray(y * image.width * 3, (y + 1) * image.width * 3)
      data.set(row, ((top + y) * width + left) * 3)
    }
  })
  return { data, width, height, channels: 3 }
}
