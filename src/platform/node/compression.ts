import { promisify } from 'node:util'
import { constants, createGunzip, deflate, inflate, type ZlibOptions } from 'node:zlib'
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

export async function* gunzip(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  // Z_SYNC_FLUSH: a stream that is cut off ends early and is no error.
  const stream = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH })
  const out: Uint8Array[] = []
  let failure: Error | undefined
  stream.on('data', (piece: Buffer) => out.push(view(piece)))
  stream.on('error', error => (failure = error))
  let wake = () => {}
  const closed = new Promise<void>(done => stream.once('close', done))
  // Whoever writes to a stream that fails on it is never called back.
  stream.once('close', () => wake())
  try {
    for await (const piece of pieces) {
      await new Promise<void>(done => {
        wake = done
        stream.write(piece, () => done())
      })
      yield* out.splice(0)
      if (failure) throw failure
    }
    stream.end()
    await closed
    yield* out.splice(0)
    if (failure) throw failure
  } finally {
    stream.destroy()
  }
}

function view(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}
