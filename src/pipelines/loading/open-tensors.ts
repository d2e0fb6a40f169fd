import { baseName, fileInfo, listFolder, openSource, parentFolder } from '#platform'
import { locate } from '../../hub/index.js'
import { FileError } from '../../platform/errors.js'
import { bytesSource, readAll } from '../../platform/sources.js'
import type { FileSource, SourceLike } from '../../platform/types.js'
import {
  type DiffusersFolder,
  diffusersIndex,
  isDiffusersFolder,
  openDiffusersFolder,
} from '../../weights/diffusers/index.js'
import { withOtherHalf } from '../../weights/families/index.js'
import { openWeights, weightsOf } from '../../weights/open-weights.js'
import { closingOnError, type StoredTensor, type TensorFile, type TensorInfo } from '../../weights/tensor-file.js'

/** Beyond this a file is not held in memory as a whole. */
const wholeInMemory = 2 ** 30

/** An opened file or folder of weights. */
export type OpenedTensors = DiffusersFolder | TensorFile<TensorInfo | StoredTensor>

/** The tensors of a model's file or folder; throws FileError where it is missing or damaged. */
export async function openTensors(from: SourceLike): Promise<OpenedTensors> {
  const place = await locate(from)
  if (typeof place === 'string') {
    const folder = baseName(place) === diffusersIndex ? parentFolder(place) : place
    if (await isDiffusersFolder(folder)) return openDiffusersFolder(folder)
    if ((await fileInfo(place))?.kind === 'folder')
      throw new FileError(
        place,
        `is a folder without ${diffusersIndex}; wanted is one of diffusers, or a file of weights${await weightsWithin(place)}`,
      )
  }
  return withOtherHalf(await weightsOf(await inOnePiece(await openSource(place))), async name =>
    (await fileInfo(name))?.kind === 'file' ? openWeights(name) : undefined,
  )
}

/** Files that may have been meant by a folder, for messages. */
async function weightsWithin(folder: string): Promise<string> {
  const names = (await listFolder(folder)).flatMap(({ name }) =>
    /\.(safetensors|ckpt|pt|pth|gguf)$/i.test(name) ? [name] : [],
  )
  const some = `${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`
  return names.length === 0 ? '' : `, perhaps ${some} in it`
}

/** What no device can read by itself is read now, rather than in a request for each tensor. */
async function inOnePiece(source: FileSource): Promise<FileSource> {
  if (source.path !== undefined || source.size > wholeInMemory) return source
  return closingOnError(source, async () => {
    const bytes = await readAll(source)
    await source.close()
    return bytesSource(bytes, source.name)
  })
}
