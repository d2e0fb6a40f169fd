import { fileInfo, joinPath, listFolder, openSource, readText } from '#platform'
import { FileError } from '../../platform/errors.js'

/** The contents of a configuration; throws FileError where it is missing, too large or no JSON. */
export async function readJson(path: string): Promise<unknown> {
  const largest = 1 << 20
  const source = await openSource(path)
  const { size } = source
  await source.close()
  if (size > largest) throw new FileError(path, `has ${size} bytes, too many for a configuration`)
  try {
    return JSON.parse(await readText(path))
  } catch (cause) {
    if (cause instanceof FileError) throw cause
    throw new FileError(path, `is no JSON: ${(cause as Error).message}`, { cause })
  }
}

/** The best of what weights a component's folder has: safetensors before pickles, full precision before variants. */
export async function weightsIn(folder: string): Promise<string> {
  const found = await fileInfo(folder)
  const names = found?.kind === 'folder' ? (await listFolder(folder)).map(({ name }) => name) : []
  for (const pattern of weightFiles) {
    const name = names.find(name => pattern.test(name))
    if (name !== undefined) return joinPath(folder, name)
  }
  const shard = names.find(name => /-\d{5}-of-\d{5}\.(\w+\.)?(safetensors|bin)$/.test(name))
  if (shard !== undefined)
    throw new FileError(
      folder,
      `holds ${shard} without the index of its parts, such as diffusion_pytorch_model.safetensors.index.json: get that file as well`,
    )
  throw new FileError(
    folder,
    'holds no weights: wanted is diffusion_pytorch_model.safetensors, model.safetensors or the like',
  )
}

const base = '(diffusion_pytorch_model|pytorch_model|model)'
const variant = '(?!non_ema)\\w+'
const weightFiles = ['safetensors', 'bin']
  .flatMap(ending => [
    `${base}\\.${ending}`,
    `${base}\\.${ending}\\.index\\.json`,
    `${base}\\.${variant}\\.${ending}`,
    `${base}\\.${ending}\\.index\\.${variant}\\.json`,
    `${base}\\.${variant}\\.${ending}\\.index\\.json`,
  ])
  .map(pattern => new RegExp(`^${pattern}$`))
