import { cacheFolder, fileInfo, joinPath, processor, readText, sha256, writeFileAtomic } from '#platform'
import { version } from '../../platform/version.js'

/** What the measurements of this processor by this version say; undefined where there are none, or no cache folder. */
export async function readTuning(device: string): Promise<unknown> {
  try {
    const path = await tuningFile(device)
    if ((await fileInfo(path)) === undefined) return undefined
    return (JSON.parse(await readText(path)) as { results?: unknown }).results
  } catch {
    return undefined
  }
}

/**
 * Keeps the results of measurements (plain data) for later processes and returns the file's path.
 *
 * @throws LatentkitError in a browser, FileError where the cache folder cannot be written.
 */
export async function writeTuning(device: string, results: unknown): Promise<string> {
  const path = await tuningFile(device)
  await writeFileAtomic(path, `${JSON.stringify({ ...place(device), results }, undefined, 2)}\n`)
  return path
}

const place = (device: string) => ({ processor: processor().name, threads: processor().threads, device, version })

async function tuningFile(device: string): Promise<string> {
  const key = await sha256(JSON.stringify(place(device)))
  return joinPath(cacheFolder(), 'tuning', `${device}-${key.slice(0, 16)}.json`)
}
