import { LatentkitError } from '../errors.js'
import { blobSource, bytesSource, decodeText, readAll, urlSource } from '../sources.js'
import type { FileInfo, FileSource, FolderEntry, PartFile, SourceLike, WalkedFile, Writable } from '../types.js'

export async function openSource(from: SourceLike): Promise<FileSource> {
  if (from instanceof Uint8Array) return bytesSource(from)
  if (from instanceof Blob) return blobSource(from)
  return urlSource(new URL(from, globalThis.location?.href))
}

export async function readBytes(from: SourceLike): Promise<Uint8Array> {
  return readAll(await openSource(from))
}

export async function readText(from: SourceLike): Promise<string> {
  return decodeText(await readBytes(from), from instanceof Uint8Array || from instanceof Blob ? 'text' : String(from))
}

export async function writeFileAtomic(path: string, _data: Writable): Promise<void> {
  return noDisk('write', path)
}

export async function appendFile(path: string, _data: string | Uint8Array): Promise<void> {
  return noDisk('append to', path)
}

export async function openPart(path: string): Promise<PartFile> {
  return noDisk('append to', path)
}

export async function moveFile(_from: string, to: string): Promise<void> {
  return noDisk('write', to)
}

export async function linkFile(_target: string, path: string): Promise<void> {
  return noDisk('write', path)
}

export async function freeSpace(folder: string): Promise<number> {
  return noDisk('look at', folder)
}

export async function removeFile(path: string): Promise<void> {
  return noDisk('remove', path)
}

/** Where there is no disk nothing lies at any path. */
export const fileInfo = async (_path: string): Promise<FileInfo | undefined> => undefined

export async function realPath(path: string): Promise<string> {
  return noDisk('resolve', path)
}

export async function listFolder(path: string): Promise<FolderEntry[]> {
  return noDisk('list', path)
}

// biome-ignore lint/correctness/useYield: it has the signature of Node's and nothing to yield
export async function* walkFiles(path: string): AsyncGenerator<WalkedFile> {
  noDisk('walk', path)
}

function noDisk(action: string, path: string): never {
  throw new LatentkitError(
    `Cannot ${action} ${path}: a browser page has no file system; hand over Blobs or URLs and offer results as downloads`,
  )
}
