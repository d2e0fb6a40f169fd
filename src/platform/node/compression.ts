import { promisify } from 'node:util'
import { deflate, inflate, type ZlibOptions } from 'node:zlib'
import { DataTooLongError } from '../errors.js'

const inflateAsync = promisify<Uint8Array, ZlibOptions, Buffer>(inflate)
const deflateAsync = promisify<Uint8Array, Buffer>(deflate)

export async function inflateZlib(data: Uint8Array, maxLength: number): Promise<Uint8Array> {
  try {
    // zlib allows no limit of 0.
    const out = view(await inflateAsync(data, { maxOutputLength: Math.max(maxLength, 1) }))
    if (out.length > maxLength) throw new DataTooLongError(maxLength)
    return out
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? new DataTooLongError(maxLength) : error
  }
}

export async function deflateZlib(data: Uint8Array): Promise<Uint8Array> {
  return view(await deflateAsync(data))
}

function view(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}
