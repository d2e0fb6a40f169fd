import { sha256 } from '#platform'
import type { Dataset } from './dataset.js'
import type { Source } from './source.js'

const block = 4096

/**
 * SHA-256 (hexadecimal) over the names, sizes, captions, labels, boxes, maps, hints and splits of all pictures and over `also`,
 * plain data such as the transform: what was computed from a dataset is stale where this differs.
 */
export async function fingerprint({ pictures }: Pick<Dataset, 'pictures'>, also: unknown = null): Promise<string> {
  let digest = await sha256(canonical(also))
  for (let i = 0; i < pictures.length; i += block) {
    const lines = pictures
      .slice(i, i + block)
      .map(({ file, size, captions, label, split, boxes, map, hint }) => [
        ...[file, size, captions, label, split],
        ...(boxes || map || hint ? [boxes, map] : []),
        ...(hint ? [hint] : []),
      ])
    digest = await sha256(`${digest}${JSON.stringify(lines)}`)
  }
  return digest
}

/** JSON with the keys of objects in order. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) =>
      part !== null && typeof part === 'object' && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
        : part,
    ) ?? 'null'
  )
}

/** A `fingerprint` of a source: of its pictures where it is a folder, else of its files' names and sizes. */
export async function fingerprintOf({ pictures, files }: Pick<Source, 'pictures' | 'files'>): Promise<string> {
  if (pictures) return fingerprint({ pictures })
  const found: [string, number][] = []
  for await (const { name, size } of files()) found.push([name, size])
  return sha256(canonical(found))
}
