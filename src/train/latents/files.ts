import { z } from 'zod'
import { openSource } from '#platform'
import type { Box } from '../../conditioning/index.js'
import type { Address, Picture, Problem } from '../../data/index.js'
import type { Size } from '../../image/index.js'
import { FileError } from '../../platform/errors.js'
import { fromFloat32 } from '../../weights/dtypes.js'
import { openSafetensors, type SafetensorsFile, writeSafetensors } from '../../weights/safetensors.js'

/** One picture of a file of latents. */
export interface LatentRecord {
  /** Where the picture lies in its source. */
  readonly at: Address
  readonly picture: Picture
  /** [channels, height, width] of its latents. */
  readonly shape: readonly [number, number, number]
  /** Where they begin in each array. */
  readonly begin: number
  /** What conditions see of the picture, where it cannot be read again by itself. */
  readonly seen?: SeenRecord | undefined
}

/** What is kept of a picture: its size, the part that is seen, and where its bytes lie, as many as each kind has. */
export interface SeenRecord {
  readonly whole: Size
  readonly window: Box
  readonly begin: number
  readonly pixels: number
  readonly map: number
  readonly hint: number
}

/** A file of latents: those of some pictures after each other, [channels, height, width] each. */
export interface LatentChunk {
  readonly records: readonly LatentRecord[]
  readonly mean: Float32Array
  readonly logvar: Float32Array
  /** Of the mirrored pictures. */
  readonly mirrored?: { readonly mean: Float32Array; readonly logvar: Float32Array } | undefined
  /** Bytes of what is kept of the pictures: RGB of the picture, classes of its map, RGB of its hint, as far as wanted. */
  readonly seen?: Uint8Array | undefined
  /** Where the next file's pictures begin; undefined at the source's end. */
  readonly next: Address | undefined
  /** What was left out among these pictures. */
  readonly skipped: readonly Problem[]
}

export type LatentArray = 'mean' | 'logvar' | 'mean_mirrored' | 'logvar_mirrored'

const address = z.tuple([z.int().nonnegative(), z.int().nonnegative()])
const about = z.object({
  next: address.nullable(),
  skipped: z.array(z.object({ place: z.string(), reason: z.string() })),
})

/** Writes a file of latents whole or not at all; FileError where the disk is full. */
export async function writeLatents(path: string, chunk: LatentChunk): Promise<void> {
  const full = [chunk.mean.length]
  const lines = new TextEncoder().encode(JSON.stringify(chunk.records))
  const { mirrored } = chunk
  await writeSafetensors(
    path,
    new Map([
      ['mean', fromFloat32(chunk.mean, full)],
      ['logvar', fromFloat32(chunk.logvar, full)],
      ...(mirrored
        ? ([
            ['mean_mirrored', fromFloat32(mirrored.mean, full)],
            ['logvar_mirrored', fromFloat32(mirrored.logvar, full)],
          ] as const)
        : []),
      ...(chunk.seen ? ([['seen', { dtype: 'U8', shape: [chunk.seen.length], bytes: chunk.seen }]] as const) : []),
      ['records', { dtype: 'U8', shape: [lines.length], bytes: lines }],
    ]),
    new Map([['latents', JSON.stringify({ next: chunk.next ?? null, skipped: chunk.skipped })]]),
  )
}

/** Reads what a file of latents says of itself; a FileError where it is damaged, which says that it may be deleted. */
export async function describeLatents(path: string): Promise<Pick<LatentChunk, 'records' | 'next' | 'skipped'>> {
  const file = await openLatents(path)
  try {
    const { next, skipped } = about.parse(JSON.parse(file.metadata.get('latents') ?? ''))
    const records = JSON.parse(new TextDecoder().decode((await file.read('records')).bytes)) as LatentRecord[]
    return { records, skipped, next: next ?? undefined }
  } catch (cause) {
    throw new FileError(path, 'is no file of latents, or damaged: delete it, and it is computed again', { cause })
  } finally {
    await file.close()
  }
}

async function openLatents(path: string): Promise<SafetensorsFile> {
  const source = await openSource(path).catch((cause: Error) => {
    throw new FileError(path, 'the latents are gone; go on with --resume, which computes them again', { cause })
  })
  return openSafetensors(source)
}

/** Reads numbers of files of latents; so many files are kept open. */
export interface LatentReader {
  /** `count` numbers of an array from the `first` on. */
  numbers(path: string, array: LatentArray, first: number, count: number): Promise<Float32Array>
  /** Bytes of what is kept of pictures. */
  seen(path: string, first: number, count: number): Promise<Uint8Array>
  close(): Promise<void>
}

const mostOpen = 64

export function latentReader(): LatentReader {
  const open = new Map<string, Promise<SafetensorsFile>>()
  async function fileAt(path: string): Promise<SafetensorsFile> {
    const file = open.get(path) ?? openLatents(path)
    // The one that was used last stands last.
    open.delete(path)
    open.set(path, file)
    file.catch(() => open.delete(path))
    return file
  }
  async function closeOldest(): Promise<void> {
    const [path, file] = open.entries().next().value!
    open.delete(path)
    await (await file).close()
  }
  async function read(path: string, array: LatentArray | 'seen', first: number, bytes: number): Promise<Uint8Array> {
    const { name, tensors } = await fileAt(path)
    const tensor = tensors.get(array)
    const begin = (tensor?.begin ?? 0) + first
    if (!tensor || begin + bytes > tensor.end) throw new FileError(name, `has no byte ${first} of ${array}: delete it`)
    const data = await tensor.source.read(begin, bytes)
    while (open.size > mostOpen) await closeOldest()
    return data
  }
  return {
    async numbers(path, array, first, count) {
      const data = await read(path, array, first * 4, count * 4)
      return new Float32Array(data.buffer, data.byteOffset, count)
    },
    seen: (path, first, count) => read(path, 'seen', first, count),
    async close() {
      while (open.size > 0) await closeOldest()
    },
  }
}
