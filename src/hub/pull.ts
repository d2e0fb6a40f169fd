import { fileInfo, freeSpace, hubPlace, linkFile, writeFileAtomic } from '#platform'
import { LatentkitError } from '../platform/errors.js'
import { cacheOf, isCommit } from './cache.js'
import { describeFile, type HubAccess, type ListedFile, listFiles, type Patience } from './client.js'
import { type FetchEvent, fetchBlob } from './fetch-blob.js'
import { readHubName } from './name.js'
import { persistently } from './retry.js'
import { type Selection, selectFiles } from './selection.js'

/** Which files are pulled, and from where; what is left out is as the environment says it to huggingface_hub. */
export interface PullOptions extends Selection {
  /** A branch, tag or commit, where the name tells none; `main` by default. */
  readonly revision?: string | undefined
  /** The folder of the cache. */
  readonly cache?: string | undefined
  readonly patience?: Partial<Patience> | undefined
  readonly signal?: AbortSignal | undefined
}

/** What happens while a model is pulled; `done` is the last event. */
export type PullEvent =
  /** Files that are wanted, and the bytes of those that are not there yet. */
  | { readonly type: 'start'; readonly commit: string; readonly files: number; readonly bytes: number }
  | (FetchEvent & { readonly file: string })
  /** A file is in its place; `cached` where it was before. */
  | { readonly type: 'file'; readonly file: string; readonly path: string; readonly cached: boolean }
  /** All are; `path` is the model's folder, or the one file that the name asked for. */
  | { readonly type: 'done'; readonly path: string; readonly commit: string }

const usualPatience: Patience = { attempts: 6, delay: 1000, silence: 30_000 }

/**
 * Fetches a model from the Hugging Face hub into the cache that all tools share, by the name `organisation/name`,
 * `organisation/name@revision` or `organisation/name:file`. `load` finds it there by the same name.
 *
 * A download that broke is gone on with, every content is held against its hash, and processes that pull the same wait
 * for one another. Of a pipeline of diffusers each part comes with its weights once, unless `include` says otherwise.
 * The environment is that of huggingface_hub: HF_HUB_CACHE, HF_HOME, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE.
 *
 * @throws LatentkitError where there is no such model or it may not be read; FileError where the hub cannot be reached,
 * a content does not fit its hash, or the disk is full.
 * @example
 * for await (const event of pull('stabilityai/sd-turbo')) if (event.type === 'done') await load(event.path)
 */
export async function* pull(name: string, options: PullOptions = {}): AsyncGenerator<PullEvent> {
  const { revision, signal } = options
  const read = readHubName(name)
  if (read === undefined)
    throw new LatentkitError(
      `Cannot pull ${JSON.stringify(name)}: wanted is organisation/name, perhaps with @revision or :file behind it`,
    )
  const wanted = { ...read, ...(revision !== undefined && { revision }) }
  const here = await hubPlace()
  if (here === undefined)
    throw new LatentkitError(`Cannot pull ${name}: a browser page has no disk; load it by its URL`)
  if (here.offline)
    throw new LatentkitError(`Cannot pull ${name}: HF_HUB_OFFLINE is set, which forbids to fetch; unset it`)
  const { cache = here.cache } = options
  const place = cacheOf(cache, wanted.id)
  const hub: HubAccess = { ...here, patience: { ...usualPatience, ...options.patience }, signal }

  const { commit, files } = await persistently(hub.patience, signal, () => listFiles(hub, wanted))
  const names = files.map(({ name }) => name)
  const selected = new Set(wanted.file === undefined ? selectFiles(names, options) : [wanted.file])
  const chosen = files.filter(({ name }) => selected.has(name))
  if (chosen.length === 0) {
    const some = `${names.slice(0, 20).join(', ')}${names.length > 20 ? ', …' : ''}`
    throw new LatentkitError(`${wanted.id} has no file ${wanted.file ?? 'that was asked for'}; it has ${some}`)
  }
  const missing: ListedFile[] = []
  for (const file of chosen) if (!(await isThere(place.snapshot(commit, file.name), file))) missing.push(file)
  const bytes = missing.reduce((sum, { size = 0 }) => sum + size, 0)
  const free = await freeSpace(cache)
  if (bytes > free)
    throw new LatentkitError(
      `Cannot pull ${name}: it needs ${gigabytes(bytes)}, and ${cache} has room for ${gigabytes(free)}; free some space, set HF_HUB_CACHE to another disk, or exclude files`,
    )
  yield { type: 'start', commit, files: chosen.length, bytes }

  for (const file of chosen) {
    const path = place.snapshot(commit, file.name)
    const cached = !missing.includes(file)
    if (!cached) {
      const described = await persistently(hub.patience, signal, () => describeFile(hub, wanted.id, commit, file.name))
      for await (const event of fetchBlob(hub, place, { ...described, id: wanted.id, commit, file: file.name }))
        yield { ...event, file: file.name }
      await linkFile(place.blob(described.hash), path)
    }
    yield { type: 'file', file: file.name, path, cached }
  }
  // Last: who looks the revision up shall find all of it.
  if (!isCommit(wanted.revision)) await writeFileAtomic(place.ref(wanted.revision), commit)
  yield { type: 'done', path: place.snapshot(commit, wanted.file), commit }
}

/** What is in a snapshot belongs to a commit, and a commit never changes. */
async function isThere(path: string, { size }: ListedFile): Promise<boolean> {
  const info = await fileInfo(path)
  return info?.kind === 'file' && (size === undefined || info.size === size)
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`
