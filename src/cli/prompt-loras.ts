import { walkFiles } from '#platform'
import type { Lora } from '../pipelines/adapters/adapted-model.js'
import { FileError } from '../platform/errors.js'
import { namedNetworks } from '../text/prompt/index.js'

const LORA = /\.(?:safetensors|gguf|pt|ckpt)$/i

/**
 * The files below a folder that a prompt's `<lora:name:weight>` mean: by their names without the extension, with or
 * without the folders that they are in.
 *
 * @throws FileError where there is none of the name, or more than one.
 */
export async function lorasNamed(prompt: string, folder: string): Promise<Lora[]> {
  const named = namedNetworks(prompt)
  if (named.length === 0) return []
  const files: { readonly path: string; readonly name: string }[] = []
  for await (const { path, relativePath } of walkFiles(folder))
    if (LORA.test(relativePath)) files.push({ path, name: relativePath.replace(LORA, '') })
  return named.map(({ name, ...strength }) => {
    const found = files.filter(file => file.name === name || file.name.endsWith(`/${name}`))
    const exact = found.find(file => file.name === name)
    if (exact === undefined && found.length !== 1) {
      const there = found.length > 0 ? found.map(file => file.name) : files.map(file => file.name).slice(0, 20)
      throw new FileError(
        folder,
        `holds ${found.length === 0 ? 'no LoRA' : 'several LoRAs'} of the name "${name}", which the prompt asks for; ` +
          (there.length > 0 ? `there is ${there.join(', ')}` : 'put its .safetensors there'),
      )
    }
    return { file: (exact ?? found[0]!).path, ...strength }
  })
}
