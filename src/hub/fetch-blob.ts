import { fileInfo, lockFile, moveFile, openPart, removeFile } from '#platform'
import { FileError, InUseError } from '../platform/errors.js'
import type { PartFile } from '../platform/types.js'
import type { cacheOf } from './cache.js'
import { type Described, type HubAccess, Interruption, openFile } from './client.js'
import { attempts, pause, type Retry } from './retry.js'

/** What happens while a content is fetched. */
export type FetchEvent =
  | { readonly type: 'progress'; readonly loaded: number; readonly total: number }
  /** Another process fetches the same: it is waited for. */
  | { readonly type: 'waiting' }
  | ({ readonly type: 'retry' } & Retry)

interface Wanted extends Described {
  readonly id: string
  readonly commit: string
  readonly file: string
}

const lookAgain = 0.25

/**
 * Fetches a content into the cache where it is not there yet, going on with what an earlier attempt left behind.
 *
 * What does not fit its hash is removed and refused: nothing gets the name of a content that is not it.
 */
export async function* fetchBlob(
  hub: HubAccess,
  place: ReturnType<typeof cacheOf>,
  wanted: Wanted,
): AsyncGenerator<FetchEvent> {
  const { hash, size, file } = wanted
  let unlock: (() => Promise<void>) | undefined
  for (let told = false; unlock === undefined; ) {
    try {
      unlock = await lockFile(place.lock(hash), file)
    } catch (error) {
      if (!(error instanceof InUseError)) throw error
      if (!told) yield { type: 'waiting' }
      told = true
      await pause(lookAgain, hub.signal)
    }
  }
  try {
    const there = await fileInfo(place.blob(hash))
    if (there?.size === size) return
    const found = yield* fill(hub, place.part(hash), wanted)
    if (found !== hash) {
      await removeFile(place.part(hash))
      throw new FileError(
        `${hub.endpoint}/${wanted.id} ${file}`,
        `came with the hash ${found} instead of ${hash} and was removed; it was changed on the way, or lies damaged on the server: pull again, or through another network`,
      )
    }
    await moveFile(place.part(hash), place.blob(hash))
  } finally {
    await unlock()
  }
}

/** Makes a part as long as the content, and gives its hash. */
async function* fill(hub: HubAccess, path: string, wanted: Wanted): AsyncGenerator<FetchEvent, string> {
  const { hash, size } = wanted
  // What git calls a blob is the hash of this and its bytes.
  const git = { algorithm: 'sha1', prefix: `blob ${size}\0` } as const
  const part = await openPart(path, hash.length === 64 ? { algorithm: 'sha256' } : git)
  let inherited = part.size > 0
  try {
    const tries = attempts(hub.patience)
    for (;;) {
      const before = part.size
      try {
        if (part.size > size) await part.clear()
        if (part.size < size) yield* receive(hub, part, wanted)
      } catch (error) {
        const retry = tries.failed(error, part.size > before)
        yield { type: 'retry', ...retry }
        await pause(retry.seconds, hub.signal)
        continue
      }
      const found = part.digest()
      if (found === hash || !inherited) return found
      // An earlier process may have left something else; what comes now is the server's word.
      inherited = false
      await part.clear()
    }
  } finally {
    await part.close()
  }
}

/** Appends what the server still has; an Interruption where it breaks off. */
async function* receive(hub: HubAccess, part: PartFile, { size, ...wanted }: Wanted): AsyncGenerator<FetchEvent> {
  const stalled = new AbortController()
  const signal = hub.signal ? AbortSignal.any([hub.signal, stalled.signal]) : stalled.signal
  const { silence } = hub.patience
  const name = `${hub.endpoint}/${wanted.id} ${wanted.file}`
  const broke = (cause: unknown) => new Interruption(name, `broke off after ${part.size} of ${size} bytes`, { cause })
  const watch = () => setTimeout(() => stalled.abort(new Error(`no byte came for ${silence / 1000} s`)), silence)
  let timer = watch()
  try {
    const { body, fresh } = await openFile({ ...hub, signal }, { ...wanted, begin: part.size, size })
    if (fresh) await part.clear()
    const reader = body.getReader()
    try {
      for (;;) {
        const { value, done } = await reader.read().catch(cause => {
          hub.signal?.throwIfAborted()
          throw broke(cause)
        })
        if (done) break
        clearTimeout(timer)
        timer = watch()
        if (part.size + value.length > size)
          throw new FileError(name, `is longer than the ${size} bytes that the hub tells`)
        await part.append(value)
        yield { type: 'progress', loaded: part.size, total: size }
      }
    } finally {
      await reader.cancel().catch(() => {})
    }
    if (part.size < size) throw broke(undefined)
  } catch (error) {
    throw stalled.signal.aborted && !hub.signal?.aborted ? broke(stalled.signal.reason) : error
  } finally {
    clearTimeout(timer)
  }
}
