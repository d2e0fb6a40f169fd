import { inflateZlib } from '#platform'
import { concatBytes } from '../platform/bytes.js'
import { DataTooLongError, FileError } from '../platform/errors.js'
import type { PngChunk } from './png-chunks.js'

/** All texts of one file together, unpacked: above this a picture is no picture. */
const maxTextBytes = 2 ** 24

/** A text chunk as Pillow's PngInfo.add_text writes it: tEXt where Latin-1 holds the text, iTXt (UTF-8) elsewhere. */
export function textChunk(keyword: string, text: string): Pick<PngChunk, 'type' | 'data'> {
  const key = latin1(keyword)
  if (!key || key.length < 1 || key.length > 79 || key.includes(0)) {
    throw new RangeError(`A PNG keyword has 1 to 79 Latin-1 characters; ${JSON.stringify(keyword)} was given`)
  }
  const plain = latin1(text)
  if (plain) return { type: 'tEXt', data: concatBytes(key, [0], plain) }
  // After the keyword: not packed, method 0, no language, no translated keyword.
  return { type: 'iTXt', data: concatBytes(key, [0, 0, 0, 0, 0], new TextEncoder().encode(text)) }
}

/** Collects the texts of tEXt, zTXt and iTXt chunks; a keyword's last text counts. */
export function textReader(file: string): { add(chunk: PngChunk): Promise<void>; texts(): Record<string, string> } {
  const found = new Map<string, string>()
  let left = maxTextBytes
  return {
    async add(chunk) {
      const entry = await readText(chunk, file, left)
      if (!entry) return
      left -= entry.size
      found.set(entry.keyword, entry.text)
    },
    texts: () => Object.fromEntries(found),
  }
}

async function readText({ type, data, offset }: PngChunk, file: string, left: number) {
  if (type !== 'tEXt' && type !== 'zTXt' && type !== 'iTXt') return undefined
  const damaged = (reason: string, cause?: unknown) =>
    new FileError(file, `its ${type} chunk cannot be read: ${reason}`, { offset, cause })
  const field = (from: number) => {
    const end = data.indexOf(0, from)
    if (end < 0) throw damaged('a zero byte is missing after a field')
    return end
  }
  const unpack = async (bytes: Uint8Array) => {
    try {
      return await inflateZlib(bytes, left)
    } catch (error) {
      throw damaged(error instanceof DataTooLongError ? 'it is too long' : 'its packed text is damaged', error)
    }
  }
  const keyEnd = field(0)
  const keyword = fromLatin1(data.subarray(0, keyEnd))
  let bytes = data.subarray(keyEnd + 1)
  if (type === 'zTXt') bytes = await unpack(data.subarray(keyEnd + 2))
  if (type === 'iTXt') {
    const rest = data.subarray(field(field(keyEnd + 3) + 1) + 1)
    bytes = data[keyEnd + 1] === 1 ? await unpack(rest) : rest
  }
  if (bytes.length > left) throw damaged(`the texts of this file are longer than ${maxTextBytes} bytes`)
  return { keyword, size: bytes.length, text: type === 'iTXt' ? new TextDecoder().decode(bytes) : fromLatin1(bytes) }
}

/** The text's bytes in Latin-1, or undefined where it has other characters. */
function latin1(text: string): Uint8Array | undefined {
  const out = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 255) return undefined
    out[i] = code
  }
  return out
}

/** TextDecoder('latin1') is Windows-1252, which differs at 128 to 159. */
function fromLatin1(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096))
  return text
}
