import { fileInfo, hubPlace, listFolder } from '#platform'
import { FileError } from '../platform/errors.js'
import type { SourceLike } from '../platform/types.js'
import { findInCache } from './cache.js'
import { readHubName } from './name.js'

/**
 * Where a model lies: the name of one on the hub becomes its place in the cache, anything else stays what it is. Nothing is
 * fetched.
 *
 * @throws FileError where the name leads to nothing, or to several files of which none is the model; it says what to do.
 */
export async function locate(from: SourceLike): Promise<SourceLike> {
  if (typeof from !== 'string') return from
  const name = readHubName(from)
  const place = name && (await hubPlace())
  if (place === undefined || (await fileInfo(from))) return from
  const found = await findInCache(place.cache, name!)
  if (found === undefined)
    throw new FileError(
      from,
      `there is no such file, and no such model in the cache ${place.cache}; check the path, or fetch the model by: latentkit pull ${from}`,
    )
  return name!.file === undefined ? modelIn(found, from) : found
}

/** Full precision before variants, safetensors before pickles. */
const preferred = [/^[^.]+\.safetensors$/i, /\.safetensors$/i, /\.(safetensors|ckpt|gguf|pt|pth|bin)$/i]

/** A folder of diffusers as it is; else its file of weights. */
async function modelIn(folder: string, name: string): Promise<string> {
  const files = (await listFolder(folder)).filter(({ kind }) => kind === 'file')
  if (files.some(file => file.name === 'model_index.json')) return folder
  const best = preferred.find(pattern => files.some(file => pattern.test(file.name)))
  if (best === undefined)
    throw new FileError(name, 'is in the cache without a model that can be loaded; pull more of its files')
  const [first, ...others] = files.filter(file => best.test(file.name))
  if (others.length === 0) return first!.path
  const names = [first!, ...others].map(file => file.name).join(', ')
  throw new FileError(name, `holds several models (${names}); name one, as ${name}:${first!.name}`)
}
