import { createHash, type Hash, randomUUID } from 'node:crypto'
import { copyFile, mkdir, open, rename, rm, statfs, symlink } from 'node:fs/promises'
import { dirname, relative } from 'node:path'
import type { PartFile, PartHash } from '../types.js'
import { fileInfo, refuse, writeWhole } from './files.js'

export async function openPart(path: string, { algorithm, prefix = '' }: PartHash): Promise<PartFile> {
  const failed = refuse(path, 'cannot be written (what is there is kept, to go on with)')
  await mkdir(dirname(path), { recursive: true }).catch(failed)
  const handle = await open(path, 'a+').catch(failed)
  const begun = () => createHash(algorithm).update(prefix)
  let hash: Hash
  let size = 0
  try {
    hash = begun()
    const there = (await handle.stat()).size
    const buffer = new Uint8Array(1 << 20)
    while (size < there) {
      const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, there - size), size)
      if (bytesRead === 0) throw new Error('it became shorter while being read')
      hash.update(buffer.subarray(0, bytesRead))
      size += bytesRead
    }
  } catch (error) {
    await handle.close()
    throw failed(error as NodeJS.ErrnoException)
  }
  return {
    get size() {
      return size
    },
    async append(bytes) {
      try {
        await writeWhole(handle, bytes)
      } catch (error) {
        // A piece that was written in part would not be in the hash. Devices cannot be cut.
        await handle.truncate(size).catch(() => {})
        failed(error as NodeJS.ErrnoException)
      }
      hash.update(bytes)
      size += bytes.length
    },
    async clear() {
      if (size > 0) await handle.truncate(0).catch(failed)
      hash = begun()
      size = 0
    },
    digest: () => hash.copy().digest('hex'),
    async close() {
      await handle.sync().catch(() => {})
      await handle.close()
    },
  }
}

export async function moveFile(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true }).catch(refuse(to, 'cannot be made'))
  await rename(from, to).catch(refuse(to, `cannot be made of ${from}`))
}

export async function linkFile(target: string, path: string): Promise<void> {
  const failed = refuse(path, 'cannot be made')
  await mkdir(dirname(path), { recursive: true }).catch(failed)
  const temporary = `${path}.${randomUUID()}.tmp`
  try {
    // Windows permits links to few, and some file systems know none.
    await symlink(relative(dirname(path), target), temporary).catch(() => copyFile(target, temporary).catch(failed))
    await rename(temporary, path).catch(failed)
  } finally {
    await rm(temporary, { force: true })
  }
}

export async function freeSpace(folder: string): Promise<number> {
  let there = folder
  while ((await fileInfo(there)) === undefined && dirname(there) !== there) there = dirname(there)
  const { bavail, bsize } = await statfs(there).catch(refuse(there, 'cannot be looked at'))
  return bavail * bsize
}
