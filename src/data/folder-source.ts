import { joinPath, readBytes } from '#platform'
import type { Dataset } from './dataset.js'
import { countSkipped, type Source } from './source.js'

/** A folder of pictures as a source whose parts are the pictures, so that it is shuffled as a whole. */
export function folderSource({ folder, pictures, labels, skipped: leftOut }: Dataset): Source {
  const skipped = countSkipped()
  for (const problem of leftOut) skipped.add(problem)
  // Where some records say how the pictures are split, they speak for all.
  const isSplit = pictures.some(({ split }) => split !== undefined)
  const fileAt = (path: string) => readBytes(joinPath(folder, path))
  return {
    name: folder,
    parts: pictures.length,
    labels,
    pictures,
    skipped,
    async *read(part, { from = 0 } = {}) {
      if (from > 0) return
      const { file, size: _, map, hint, ...annotations } = pictures[part]!
      yield {
        ...annotations,
        ...(isSplit && { split: annotations.split ?? 'train' }),
        key: file,
        address: [part, 0],
        held: 0,
        bytes: () => fileAt(file),
        ...(map !== undefined && { map: () => fileAt(map) }),
        ...(hint !== undefined && { hint: () => fileAt(hint) }),
      }
    },
    async *files() {
      for (const { file, size, map, hint } of pictures) {
        yield { name: file, path: joinPath(folder, file), size, modified: 0 }
        for (const name of [map ?? [], hint ?? []].flat())
          yield { name, path: joinPath(folder, name), size: 0, modified: 0 }
      }
    },
  }
}
