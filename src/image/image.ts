/** A picture: 8 bits a channel, row by row from the top left, RGB or RGBA (alpha not premultiplied). */
export interface Image {
  readonly data: Uint8Array | Uint8ClampedArray
  readonly width: number
  readonly height: number
  readonly channels: 3 | 4
}

/** Throws unless the sizes are whole and positive and `data` is as long as they say. */
export function checkImage(image: Image): void {
  const { data, width, height, channels } = image
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new RangeError(`An image of ${width}x${height} pixels was given; width and height must be whole and positive`)
  }
  if (channels !== 3 && channels !== 4) {
    throw new RangeError(`An image of ${channels} channels was given; RGB (3) and RGBA (4) are possible`)
  }
  if (data.length !== width * height * channels) {
    throw new RangeError(
      `An image of ${width}x${height} pixels and ${channels} channels needs ${width * height * channels} bytes; ` +
        `${data.length} were given`,
    )
  }
}

/** The picture without alpha, laid over a background colour (white unless said otherwise). */
export function flatten(image: Image, background: readonly [number, number, number] = [255, 255, 255]): Image {
  checkImage(image)
  const { data, width, height } = image
  if (image.channels === 3) return image
  const out = new Uint8Array(width * height * 3)
  for (let i = 0, o = 0; i < data.length; i += 4) {
    const alpha = data[i + 3]! / 255
    for (let c = 0; c < 3; c++) out[o++] = Math.round(data[i + c]! * alpha + background[c]! * (1 - alpha))
  }
  return { data: out, width, height, channels: 3 }
}

/** A rectangle of a picture, as a copy; a RangeError where it is not inside. */
export function crop(image: Image, x: number, y: number, width: number, height: number): Image {
  checkImage(image)
  const inside = [x, y, width, height].every(Number.isInteger) && x >= 0 && y >= 0 && width > 0 && height > 0
  if (!inside || x + width > image.width || y + height > image.height) {
    throw new RangeError(`Cannot cut ${width}x${height} at (${x}, ${y}) out of ${image.width}x${image.height} pixels`)
  }
  const { channels } = image
  const out = new Uint8Array(width * height * channels)
  for (let row = 0; row < height; row++) {
    const from = ((y + row) * image.width + x) * channels
    out.set(image.data.subarray(from, from + width * channels), row * width * channels)
  }
  return { data: out, width, height, channels }
}

/** The picture mirrored left to right, as a copy. */
export function flipHorizontal(image: Image): Image {
  checkImage(image)
  const { data, width, height, channels } = image
  const out = new Uint8Array(data.length)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * channels
      const to = (y * width + width - 1 - x) * channels
      for (let c = 0; c < channels; c++) out[to + c] = data[from + c]!
    }
  }
  return { data: out, width, height, channels }
}
