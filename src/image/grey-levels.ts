import { LatentkitError } from '../platform/errors.js'
import type { Image } from './image.js'

/** The grey levels of a picture; LatentkitError, naming it, where it has colours. */
export function greyLevels({ data, channels, width, height }: Image, name: string): Uint8Array {
  const out = new Uint8Array(width * height)
  for (let i = 0; i < out.length; i++) {
    const at = i * channels
    if (data[at] !== data[at + 1] || data[at] !== data[at + 2]) {
      throw new LatentkitError(
        `${name} has colours, at (${i % width}, ${Math.floor(i / width)} from the top left); wanted are grey levels: red, green and blue alike`,
      )
    }
    out[i] = data[at]!
  }
  return out
}
