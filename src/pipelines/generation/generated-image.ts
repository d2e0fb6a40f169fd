import { writeFileAtomic } from '#platform'
import { encodePng, formatParameters, type Image, type Parameters } from '../../image/index.js'

/** A picture that a model made: RGB bytes, row by row from the top left, and what made it. */
export interface GeneratedImage extends Image {
  /** What made it; a PNG carries it in AUTOMATIC1111's text format. */
  readonly parameters: Parameters
  /** The picture as a PNG file. */
  png(): Promise<Uint8Array>
  /**
   * Writes the picture as a PNG file.
   *
   * @throws FileError where it cannot be written; LatentkitError in a browser, where `png()` gives the bytes.
   */
  save(path: string): Promise<void>
}

/** A picture with what made it. */
export function generatedImage(image: Image, parameters: Parameters): GeneratedImage {
  const png = () => encodePng(image, { text: { parameters: formatParameters(parameters) } })
  return { ...image, parameters, png, save: async path => writeFileAtomic(path, await png()) }
}
