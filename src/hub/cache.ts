import { fileInfo, joinPath, readText } from '#platform'
import { FileError } from '../platform/errors.js'
import type { HubName } from './name.js'

/** The folders of one model in the cache of the hub. Source: huggingface_hub, docs, "Understand caching". */
export const cacheOf = (cache: string, id: string) => {
  const model = `models--${id.replaceAll('/', '--')}`
  return {
    /** The contents, by their hashes. */
    blob: (hash: string) => joinPath(cache, model, 'blobs', hash),
    /** What has been fetched of a content so far. */
    part: (hash: string) => joinPath(cache, model, 'blobs', `${hash}.incomplete`),
    /** A text that tells the commit of a branch or tag. */
    ref: (revision: string) => joinPath(cache, model, 'refs', ...revision.split('/')),
    /** The files of a commit by their names, links to the contents. */
    snapshot: (commit: string, file = '') => joinPath(cache, model, 'snapshots', commit, ...file.split('/')),
    // Not the name that huggingface_hub locks by: it would empty our file, and we would remove its.
    lock: (hash: string) => joinPath(cache, '.locks', model, `${hash}.latentkit`),
  }
}

export const isCommit = (text: string): boolean => /^[0-9a-f]{40}$/.test(text)

/** The folder of a model, or its file, in the cache; undefined where it was not pulled. Nothing is fetched. */
export async function findInCache(cache: string, { id, revision, file }: HubName): Promise<string | undefined> {
  const place = cacheOf(cache, id)
  const commit = isCommit(revision) ? revision : await commitAt(place.ref(revision))
  if (commit === undefined) return undefined
  const path = place.snapshot(commit, file)
  return (await fileInfo(path)) ? path : undefined
}

async function commitAt(ref: string): Promise<string | undefined> {
  const info = await fileInfo(ref)
  if (info?.kind !== 'file') return undefined
  const commit = info.size < 1000 ? (await readText(ref)).trim() : ''
  if (!isCommit(commit)) throw new FileError(ref, 'tells no commit; pull the model again')
  return commit
}
