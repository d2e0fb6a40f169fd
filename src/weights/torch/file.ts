import { FileError } from '../../platform/errors.js'
import type { FileSource } from '../../platform/types.js'
import { dtypeBytes, elementCount, type TensorData } from '../dtypes.js'
import { readGrowing } from '../growing.js'
import {
  closingOnError,
  describeContent,
  quoted,
  type StoredTensor,
  type TensorFile,
  type TensorInfo,
  wantedTensor,
} from '../tensor-file.js'
import { readZipDirectory, readZipEntry, type ZipEntry } from '../zip.js'
import { isTensor, type Storage, torchObjects, type View } from './objects.js'
import { type PickleValue, readPickle, Tuple } from './pickle.js'

/** A tensor of a torch file; where it lies row-major and little-endian in one piece, its place is told as well. */
export type TorchTensor = TensorInfo | StoredTensor

/** Stable Diffusion's pickles have 0.2 to 1 MB, one with optimiser states a few. */
const largestPickle = 64 << 20
const mostValues = 1_000_000
const deepest = 64

interface Contents {
  readonly views: ReadonlyMap<string, View>
  readonly storages: Storages
}

/** Where the bytes of the storages are. */
interface Storages {
  readonly bigEndian: boolean
  /** Throws FileError if there is no such storage or it is smaller than the pickle says. */
  place(storage: Storage): { begin: number; end: number }
  read(storage: Storage): Promise<Uint8Array>
}

/**
 * Opens what `torch.save` wrote, as a ZIP archive or in the format before torch 1.6. Nothing in it is ever run.
 *
 * Names are the keys on the way to a tensor joined by dots: `state_dict.model.diffusion_model.out.2.bias` in
 * Lightning's checkpoints (`underPrefix` gives the tensors below `state_dict.`). Whatever is no tensor is left out.
 * Checksums are checked by `read`. Closing the file closes the source, and so does refusing it.
 *
 * Throws FileError where it is damaged, calls anything that tensors do not need, or holds no tensors.
 * Source of the formats: torch/serialization.py, torch/_utils.py.
 *
 * @example
 * const file = await openTorchFile(await openSource('sd-v1-4.ckpt'))
 * const model = underPrefix(file, 'state_dict.')
 */
export async function openTorchFile(source: FileSource): Promise<TensorFile<TorchTensor>> {
  return closingOnError(source, async () => {
    const start = await source.read(0, Math.min(source.size, 16))
    const isZip = start[0] === 0x50 && start[1] === 0x4b
    if (!isZip && start[0] !== 0x80) {
      throw new FileError(source.name, `is no file of torch.save: ${describeContent(start)}`, { offset: 0 })
    }
    const { views, storages } = isZip ? await openArchive(source) : await openLegacy(source)
    const tensors = new Map<string, TorchTensor>()
    for (const [name, view] of views) tensors.set(name, infoOf(view, storages, source))
    if (tensors.size === 0) throw new FileError(source.name, 'holds no tensors; wanted is a checkpoint or a state_dict')
    return {
      name: source.name,
      format: isZip ? 'torch' : 'torch before 1.6',
      metadata: new Map(),
      tensors,
      read: async name => gather(wantedTensor(source.name, views, name), storages),
      close: () => source.close(),
    }
  })
}

async function openArchive(source: FileSource): Promise<Contents> {
  const entries = await readZipDirectory(source)
  const pickles = [...entries.keys()].filter(name => /^[^/]+\/data\.pkl$/.test(name))
  const [pickle] = pickles
  if (pickle === undefined || pickles.length > 1) {
    throw new FileError(source.name, `is an archive with ${pickles.length} data.pkl; a file of torch.save has one`)
  }
  const folder = pickle.slice(0, -'data.pkl'.length)
  const small = async (name: string, limit: number) => {
    const entry = entries.get(folder + name)
    if (!entry) return new Uint8Array(0)
    const { begin, end } = entry
    if (end - begin > limit)
      throw new FileError(source.name, `its ${name} is larger than ${limit} bytes`, { offset: begin })
    return readZipEntry(source, folder + name, entry)
  }
  const byteOrder = new TextDecoder().decode(await small('byteorder', 100))
  if (!['', 'little', 'big'].includes(byteOrder))
    throw new FileError(source.name, `has the byte order ${quoted(byteOrder)}; known are little and big`, {
      offset: entries.get(`${folder}byteorder`)!.begin,
    })
  const { value } = readPickle(await small('data.pkl', largestPickle), torchObjects(), {
    file: source.name,
    origin: entries.get(pickle)!.begin,
  })

  const entryOf = (storage: Storage): [string, ZipEntry] => {
    const name = `${folder}data/${storage.key}`
    const entry = entries.get(name)
    if (!entry) throw new FileError(source.name, `has no record ${quoted(name)} for one of its tensors; load it again`)
    const [found, wanted] = [entry.end - entry.begin, storage.count * bytesOf(storage)]
    if (found !== wanted)
      throw new FileError(
        source.name,
        `record ${quoted(name)} has ${found} bytes, its tensors say ${wanted}; load it again`,
        { offset: entry.begin },
      )
    return [name, entry]
  }
  return {
    views: tensorsBelow(value, source.name),
    storages: {
      bigEndian: byteOrder === 'big',
      place: storage => entryOf(storage)[1],
      read: lastKept(storage => readZipEntry(source, ...entryOf(storage))),
    },
  }
}

/** Five pickles (magic number, protocol, system, the object, the storages' keys), then the storages one after the other. */
async function openLegacy(source: FileSource): Promise<Contents> {
  const sizes = new Map<string, Storage>()
  const objects = torchObjects(sizes)
  let at = 0
  const next = async () => {
    const { value, end } = await readGrowing(source, at, largestPickle, bytes =>
      readPickle(bytes, objects, { file: source.name, origin: at }),
    )
    at += end
    return value
  }
  const notLegacy = 'is no file of torch.save: it is a pickle without torch’s magic number; save it with torch.save'
  if ((await next()) !== 0x1950a86a20f9469cfc6cn || (await next()) !== 1001)
    throw new FileError(source.name, notLegacy, { offset: 0 })
  const system = await next()
  const views = tensorsBelow(await next(), source.name)
  const keys = await next()
  if (!Array.isArray(keys)) throw new FileError(source.name, 'has no list of storages; load it again', { offset: at })
  const bigEndian = system instanceof Map && system.get('little_endian') === false
  const places = new Map<string, { begin: number; end: number }>()
  for (const key of keys) {
    const storage = typeof key === 'string' ? sizes.get(key) : undefined
    if (!storage)
      throw new FileError(source.name, 'lists a storage that its objects do not use; the file is damaged', {
        offset: at,
      })
    if (at + 8 > source.size)
      throw new FileError(source.name, 'ends before its storages; load it again', { offset: at })
    const head = await source.read(at, 8)
    const count = Number(new DataView(head.buffer, head.byteOffset, 8).getBigInt64(0, !bigEndian))
    const begin = at + 8
    const end = begin + count * bytesOf(storage)
    if (!(count >= 0 && end <= source.size))
      throw new FileError(source.name, 'ends inside a storage; load it again', { offset: at })
    places.set(storage.key, { begin, end })
    at = end
  }
  const place = (storage: Storage) => {
    const found = places.get(storage.key)
    if (!found)
      throw new FileError(source.name, `has no storage ${quoted(storage.key)} for one of its tensors; load it again`)
    const wanted = storage.count * bytesOf(storage)
    if (found.end - found.begin < wanted)
      throw new FileError(
        source.name,
        `storage ${quoted(storage.key)} has ${found.end - found.begin} bytes, its tensors want ${wanted}; load it again`,
        { offset: found.begin },
      )
    return found
  }
  const read = (storage: Storage) => {
    const { begin, end } = place(storage)
    return source.read(begin, end - begin)
  }
  return { views, storages: { bigEndian, place, read: lastKept(read) } }
}

function bytesOf(storage: Storage): number {
  return storage.dtype === undefined ? 1 : dtypeBytes[storage.dtype]
}

/** Tensors that share a storage mostly follow each other. */
function lastKept(read: (storage: Storage) => Promise<Uint8Array>): (storage: Storage) => Promise<Uint8Array> {
  let key: string | undefined
  let bytes: Promise<Uint8Array> | undefined
  return storage => {
    if (bytes === undefined || key !== storage.key) {
      key = storage.key
      bytes = read(storage)
    }
    return bytes
  }
}

/**
 * All tensors below a value, in order, by the keys on the way to them.
 *
 * Bounded, for a pickle can hold a thing within itself or a billion times.
 */
function tensorsBelow(root: PickleValue, file: string): Map<string, View> {
  const views = new Map<string, View>()
  let values = 0
  function visit(value: PickleValue, name: string, depth: number): void {
    if (depth > deepest) throw new FileError(file, `is nested more than ${deepest} deep; save the state_dict alone`)
    if (++values > mostValues)
      throw new FileError(file, `holds more than ${mostValues} values; save the state_dict alone`)
    if (isTensor(value)) {
      if (views.has(name)) throw new FileError(file, `has two tensors called ${quoted(name)}; save it with other keys`)
      views.set(name, value.value)
    }
    for (const [key, inner] of childrenOf(value)) visit(inner, depth === 0 ? key : `${name}.${key}`, depth + 1)
  }
  visit(root, '', 0)
  return views
}

function* childrenOf(value: PickleValue): Generator<[string, PickleValue]> {
  const items = value instanceof Tuple ? value.items : value
  if (Array.isArray(items)) for (const [i, inner] of items.entries()) yield [String(i), inner]
  // Keys that are objects, such as the classes of callbacks, lead to no weights; all get one name.
  if (items instanceof Map) for (const [key, inner] of items) yield [typeof key === 'object' ? '?' : String(key), inner]
}

/** Strides of a tensor that lies row-major in one piece. */
function rowMajor(shape: readonly number[]): number[] {
  const strides: number[] = []
  let stride = 1
  for (const size of shape.toReversed()) {
    strides.unshift(stride)
    stride *= size
  }
  return strides
}

function isRowMajor({ shape, strides }: View): boolean {
  const wanted = rowMajor(shape)
  return shape.every((size, axis) => size === 1 || strides[axis] === wanted[axis])
}

function infoOf(view: View, storages: Storages, source: FileSource): TorchTensor {
  const { dtype, shape, storage, offset } = view
  const { begin: storageBegin } = storages.place(storage)
  if (storages.bigEndian || !isRowMajor(view)) return { dtype, shape }
  const size = dtypeBytes[dtype]
  const begin = storageBegin + (shape.includes(0) ? 0 : offset * size)
  return { dtype, shape, source, begin, end: begin + elementCount(shape) * size }
}

async function gather(view: View, storages: Storages): Promise<TensorData> {
  const { dtype, shape, strides, storage } = view
  const size = dtypeBytes[dtype]
  const count = elementCount(shape)
  const from = await storages.read(storage)
  const begin = shape.includes(0) ? 0 : view.offset * size
  if (isRowMajor(view) && !storages.bigEndian)
    return { dtype, shape, bytes: from.subarray(begin, begin + count * size) }
  const bytes = new Uint8Array(count * size)
  const index = new Array<number>(shape.length).fill(0)
  let at = view.offset
  for (let i = 0; i < count; i++) {
    for (let b = 0; b < size; b++) bytes[i * size + b] = from[at * size + (storages.bigEndian ? size - 1 - b : b)]!
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!
      if (++index[axis]! < shape[axis]!) break
      at -= shape[axis]! * strides[axis]!
      index[axis] = 0
    }
  }
  return { dtype, shape, bytes }
}
