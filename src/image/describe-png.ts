import { type Parameters, parseParameters } from './parameters.js'
import { readChunks } from './png-chunks.js'
import { type PngHeader, readHeader } from './png-header.js'
import { textReader } from './png-text.js'

/** What a PNG says of itself: its header, its texts and A1111's settings where it carries them. */
export interface PngDescription extends PngHeader {
  readonly text: Readonly<Record<string, string>>
  readonly parameters?: Parameters
}

/** Reads a PNG's header and texts without decoding its pixels; FileError naming `file` where it is damaged. */
export async function describePng(bytes: Uint8Array, file = 'PNG'): Promise<PngDescription> {
  let header: PngHeader | undefined
  const reader = textReader(file)
  for (const chunk of readChunks(bytes, file)) {
    if (header) await reader.add(chunk)
    else header = readHeader(chunk, file)
  }
  const text = reader.texts()
  const written = Object.hasOwn(text, 'parameters') ? text.parameters : undefined
  return { ...header!, text, ...(written === undefined ? {} : { parameters: parseParameters(written) }) }
}
