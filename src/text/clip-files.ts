import { FileError } from '../platform/errors.js'

/** The largest unpacked vocabulary file taken; CLIP's has 3.2 MB. */
const LARGEST = 16 * 2 ** 20

/**
 * The text of a vocabulary file, unpacked where it is gzip, as openai/CLIP's `bpe_simple_vocab_16e6.txt.gz` is.
 * @param file named in errors
 * @throws FileError where it is damaged or unpacks to more than 16 MiB
 */
export async function vocabularyText(bytes: Uint8Array, file: string): Promise<string> {
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream()
  const reader = (packed ? stream.pipeThrough(new DecompressionStream('gzip')) : stream).getReader()
  const decoder = new TextDecoder()
  let text = ''
  for (;;) {
    const { done, value } = await reader.read().catch(cause => {
      throw new FileError(file, `cannot be unpacked: ${cause.message}`, { cause })
    })
    if (done) return text + decoder.decode()
    text += decoder.decode(value, { stream: true })
    if (text.length > LARGEST) {
      await reader.cancel()
      throw new FileError(file, `unpacks to more than ${LARGEST} characters; wanted a vocabulary`)
    }
  }
}
