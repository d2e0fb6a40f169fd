import { concatBytes } from '../bytes.js'
import { DataTooLongError } from '../errors.js'

export async function inflateZlib(data: Uint8Array, maxLength: number): Promise<Uint8Array> {
  return collect(data, new DecompressionStream('deflate'), maxLength)
}

export async function deflateZlib(data: Uint8Array): Promise<Uint8Array> {
  return collect(data, new CompressionStream('deflate'), Number.POSITIVE_INFINITY)
}

export async function* gunzip(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = pieces[Symbol.asyncIterator]()
  const packed = new ReadableStream<BufferSource>({
    async pull(controller) {
      const { value, done } = await source.next()
      if (done) controller.close()
      else controller.enqueue(value as BufferSource)
    },
  })
  const reader = packed.pipeThrough(new DecompressionStream('gzip')).getReader()
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
  } finally {
    await reader.cancel().catch(() => {})
  }
}

async function collect(data: Uint8Array, through: GenericTransformStream, maxLength: number): Promise<Uint8Array> {
  const reader = new Blob([data as BlobPart]).stream().pipeThrough(through).getReader()
  const pieces: Uint8Array[] = []
  let length = 0
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const piece = next.value as Uint8Array
    length += piece.length
    if (length > maxLength) {
      await reader.cancel()
      throw new DataTooLongError(maxLength)
    }
    pieces.push(piece)
  }
  return concatBytes(...pieces)
}
