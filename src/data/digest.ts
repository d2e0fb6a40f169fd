import { openSource, sha256 } from '#platform'
import { pieces } from './byte-reader.js'
import type { Source, SourceFile } from './source.js'

/** What a large file's digest is remembered by; smaller ones are read every time. */
const remembered = 2 ** 24

/** Digests that were computed before, by what tells a file's state. */
export type KnownDigests = Map<string, string>

/**
 * SHA-256 (hexadecimal) over the names and all bytes of a source's files, never more than a piece of them in memory.
 * Large files are read once and then known by path, size and time of change.
 */
export async function contentDigest(
  source: Pick<Source, 'files'>,
  known: KnownDigests,
  signal?: AbortSignal,
): Promise<string> {
  let digest = await sha256('')
  for await (const file of source.files()) {
    signal?.throwIfAborted()
    digest = await sha256(`${digest}\n${file.name}\n${await fileDigest(file, known)}`)
  }
  return digest
}

async function fileDigest({ path, size, modified }: SourceFile, known: KnownDigests): Promise<string> {
  const state = size < remembered ? undefined : `${path} ${size} ${modified}`
  const before = state && known.get(state)
  if (before) return before
  const source = await openSource(path)
  try {
    // A digest of digests: hosts without streaming hashes compute the same.
    let digest = ''
    for await (const piece of pieces(source, 2 ** 22)) digest = await sha256(digest + (await sha256(piece)))
    if (state) known.set(state, digest)
    return digest
  } finally {
    await source.close()
  }
}
