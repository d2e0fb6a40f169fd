import { FileError } from '../platform/errors.js'
import type { FileSource } from '../platform/types.js'
import type { BlockForm, Blocks } from './blocks.js'
import type { DType, TensorData } from './dtypes.js'

/** Element type and shape of a stored tensor. */
export interface TensorInfo {
  readonly dtype: DType
  readonly shape: readonly number[]
}

/** A tensor that lies row-major and little-endian in bytes `begin` to `end` of a file. */
export interface StoredTensor extends TensorInfo {
  readonly source: FileSource
  readonly begin: number
  readonly end: number
  /** Where it is stored in blocks: these as they are. */
  readonly blocks?: StoredBlocks | undefined
}

/** A tensor's blocks, read when asked for. */
export interface StoredBlocks {
  readonly form: BlockForm
  read(): Promise<Blocks>
}

/** What every reader of weights gives: names and shapes at once, the elements when asked for. */
export interface TensorFile<Info extends TensorInfo = TensorInfo> {
  /** What messages call it. */
  readonly name: string
  /** What kind of file it is, for people. */
  readonly format: string
  readonly metadata: ReadonlyMap<string, string>
  readonly tensors: ReadonlyMap<string, Info>
  /** Throws FileError if there is no such tensor. */
  read(tensor: string): Promise<TensorData>
  close(): Promise<void>
}

/** The entry of a tensor, or a FileError that names the file and the tensor. */
export function wantedTensor<T>(file: string, tensors: ReadonlyMap<string, T>, tensor: string): T {
  const info = tensors.get(tensor)
  if (info === undefined) throw new FileError(file, `has no tensor ${quoted(tensor)} among its ${tensors.size}`)
  return info
}

/** A name from a file for a message, in quotes and cut to a length that a person reads. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name)
}

/** Closes the source if the work on it fails: who opens a file reader hands its source over. */
export async function closingOnError<T>(source: { close(): Promise<void> }, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    await source.close()
    throw error
  }
}

/** What a file that is none of the wanted kind looks like, by its first bytes, and what to do. */
export function describeContent(start: Uint8Array): string {
  const text = new TextDecoder('latin1').decode(start).trimStart().toLowerCase()
  if (start.length === 0) return 'it is empty; load it again'
  if (text.startsWith('version https'))
    return 'it is a Git LFS pointer to the file; fetch the file itself with git lfs pull'
  if (text.startsWith('<')) return 'it is a web page, perhaps of a failed download; load the file itself'
  if (start.every(byte => byte === 0))
    return 'it begins with zeros, as a download does that is not finished; load it again'
  if (/^[\x20-\x7e\s]+$/.test(text))
    return `it is a text that begins with ${JSON.stringify(text.slice(0, 24))}; choose a checkpoint`
  return `it begins with the bytes ${Array.from(start.subarray(0, 8), byte => byte.toString(16).padStart(2, '0')).join(' ')}; choose a checkpoint`
}
