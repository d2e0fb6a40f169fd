import { type FileHandle, mkdir, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FileError } from '../errors.js'
import { blobSource, bytesSource, checkRange, decodeText, readAll, urlSource } from '../sources.js'
import type { FileInfo, FileSource, FolderEntry, SourceLike, WalkedFile, Writable } from '../types.js'

export async function openSource(from: SourceLike): Promise<FileSource> {
  if (from instanceof Uint8Array) return bytesSource(from)
  if (from instanceof Blob) return blobSource(from)
  if (/^https?:\/\//i.test(String(from))) return urlSource(from)
  return openFile(from instanceof URL ? fileURLToPath(from) : from)
}

async function openFile(path: string): Promise<FileSource> {
  // Opening a pipe would wait for somebody to write into it: look first.
  const found = await stat(path).catch(refuse(path, 'cannot be read'))
  if (!found.isFile()) {
    throw new FileError(path, `is ${found.isDirectory() ? 'a folder' : 'a device or pipe'}; a file is wanted`)
  }
  const handle = await open(path, 'r').catch(refuse(path, 'cannot be read'))
  const source: FileSource = {
    name: path,
    size: found.size,
    path: await realpath(path),
    async read(offset, length) {
      checkRange(source, offset, length)
      const bytes = new Uint8Array(length)
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle
          .read(bytes, done, length - done, offset + done)
          .catch(refuse(path, 'cannot be read'))
        if (bytesRead === 0) throw new FileError(path, 'became shorter while being read', { offset: offset + done })
        done += bytesRead
      }
      return bytes
    },
    close: () => handle.close(),
  }
  return source
}

export async function readBytes(from: SourceLike): Promise<Uint8Array> {
  if (from instanceof Uint8Array) return from
  const source = await openSource(from)
  try {
    return await readAll(source)
  } finally {
    await source.close()
  }
}

export async function readText(from: SourceLike): Promise<string> {
  return decodeText(await readBytes(from), from instanceof Uint8Array || from instanceof Blob ? 'text' : String(from))
}

let writes = 0
const temporaryName = /^\.(.+)\.\d+-\d+\.tmp$/
const abandonedAfter = 3_600_000

export async function writeFileAtomic(path: string, data: Writable): Promise<void> {
  // A link stays a link: what it points to is replaced.
  const target = await realpath(path).catch(() => path)
  const folder = dirname(target)
  const temporary = join(folder, `.${basename(target)}.${process.pid}-${writes++}.tmp`)
  const failed = refuse(path, 'cannot be written (what was there before is unchanged)')
  if ((await fileInfo(target))?.kind === 'folder') throw new FileError(path, 'is a folder; a file name is wanted')
  await mkdir(folder, { recursive: true }).catch(failed)
  await removeAbandoned(folder, basename(target))
  const handle = await open(temporary, 'wx').catch(failed)
  try {
    try {
      for await (const piece of pieces(data)) await writeWhole(handle, piece).catch(failed)
      await handle.sync().catch(failed)
    } finally {
      await handle.close()
    }
    await rename(temporary, target).catch(failed)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(folder)
}

function pieces(data: Writable): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof data === 'string') return [new TextEncoder().encode(data)]
  return data instanceof Uint8Array ? [data] : data
}

export async function writeWhole(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await handle.write(bytes, done)).bytesWritten
}

/** Temporary files that a killed process left behind; a running one changes its own far more often. */
async function removeAbandoned(folder: string, name: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    if (temporaryName.exec(entry)?.[1] !== name) continue
    const info = await fileInfo(join(folder, entry))
    if (info && Date.now() - info.modified > abandonedAfter) await rm(join(folder, entry), { force: true })
  }
}

/** Makes a rename survive a power cut; Windows cannot open folders and does it by itself. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    // Some network file systems know no fsync of a folder; the file itself is already on the disk.
    await handle.sync().catch(() => {})
  } finally {
    await handle.close()
  }
}

export async function appendFile(path: string, data: string | Uint8Array): Promise<void> {
  const failed = refuse(path, 'cannot be appended to')
  await mkdir(dirname(path), { recursive: true }).catch(failed)
  const handle = await open(path, 'a').catch(failed)
  try {
    const { size } = await handle.stat()
    try {
      for (const piece of pieces(data) as Iterable<Uint8Array>) await writeWhole(handle, piece)
    } catch (error) {
      // Devices cannot be cut; what failed there is the writing.
      await handle.truncate(size).catch(() => {})
      failed(error as NodeJS.ErrnoException)
    }
  } finally {
    await handle.close()
  }
}

export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true }).catch(refuse(path, 'cannot be removed'))
}

export async function fileInfo(path: string): Promise<FileInfo | undefined> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw refusal(path, 'cannot be looked at', error)
  })
  if (!info) return undefined
  const kind = info.isDirectory() ? 'folder' : 'file'
  return { kind, size: kind === 'folder' ? 0 : info.size, modified: info.mtimeMs }
}

export async function realPath(path: string): Promise<string> {
  return realpath(path).catch(refuse(path, 'cannot be found'))
}

export async function listFolder(path: string): Promise<FolderEntry[]> {
  const names = (await readdir(path).catch(refuse(path, 'cannot be listed'))).sort(byCodeUnits)
  const entries: FolderEntry[] = []
  for (const name of names) {
    const info = await fileInfo(join(path, name)).catch((error: unknown) => {
      // A link in a circle is as broken as one that points nowhere.
      if (error instanceof FileError && (error.cause as NodeJS.ErrnoException).code === 'ELOOP') return undefined
      throw error
    })
    if (info) entries.push({ name, path: join(path, name), ...info })
  }
  return entries
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

export async function* walkFiles(path: string): AsyncGenerator<WalkedFile> {
  const seen = new Set<string>()
  async function* below(folder: string, prefix: string): AsyncGenerator<WalkedFile> {
    const real = await realPath(folder)
    if (seen.has(real)) return
    seen.add(real)
    for (const entry of await listFolder(folder)) {
      const relativePath = prefix + entry.name
      if (entry.kind === 'folder') yield* below(entry.path, `${relativePath}/`)
      else yield { ...entry, relativePath }
    }
  }
  yield* below(path, '')
}

/** A catch handler that turns an error of the operating system into a FileError that says what to do. */
export function refuse(path: string, what: string): (error: NodeJS.ErrnoException) => never {
  return error => {
    throw refusal(path, what, error)
  }
}

const remedies: Record<string, string> = {
  ENOENT: 'there is no such file or folder; check the path',
  ENOTDIR: 'a part of the path, or what should be a folder, is a file; check the path',
  EISDIR: 'it is a folder; a file is wanted',
  EACCES: 'permission denied; change its rights or choose another place',
  EPERM: 'the system does not permit it; change its rights or choose another place',
  EROFS: 'the file system is read-only; choose another place',
  ENOSPC: 'the disk is full; free some space or choose another place',
  EDQUOT: 'the disk quota is used up; free some space or choose another place',
  EFBIG: 'the file would be larger than this file system or process may write; choose another place',
  EMFILE: 'too many files are open; close some or raise the limit (ulimit -n)',
  ENAMETOOLONG: 'the name is too long; choose a shorter one',
  ELOOP: 'its symbolic links form a circle; repair them',
}

function refusal(path: string, what: string, error: NodeJS.ErrnoException): FileError {
  return new FileError(path, `${what}: ${remedies[error.code ?? ''] ?? error.message}`, { cause: error })
}
