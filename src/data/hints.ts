import { joinPath, readBytes } from '#platform'
import { FileError } from '../platform/errors.js'
import { openFolder } from './folder.js'
import type { Sample, Source } from './source.js'

const withoutEnding = (path: string) => path.replace(/\.[^./]*$/, '')

/**
 * A source whose samples have their hints, which a ControlNet is to follow, from a folder where they are called as the
 * samples are: `a/b.png` for `a/b.jpg` of a folder and for `a/b` of a shard.
 *
 * Throws FileError for the folder as `openFolder` does, and while reading for a sample without a hint.
 */
export async function withHints(source: Source, folder: string): Promise<Source> {
  const { pictures } = await openFolder(folder)
  const files = new Map(pictures.map(({ file }) => [withoutEnding(file), joinPath(folder, file)]))
  const pathOf = ({ key }: Sample) =>
    // Beside a name of its own a sample of an archive has the archive's before it.
    files.get(source.pictures ? withoutEnding(key) : key.slice(key.indexOf('/') + 1))
  return {
    ...source,
    async *read(part, options) {
      for await (const sample of source.read(part, options)) {
        const path = pathOf(sample)
        if (path === undefined)
          throw new FileError(folder, `has no hint for ${sample.key}: call it the same, of whatever format`)
        yield { ...sample, hint: () => readBytes(path) }
      }
    },
    async *files() {
      yield* source.files()
      for (const path of files.values()) yield { name: path.slice(folder.length), path, size: 0, modified: 0 }
    },
  }
}
