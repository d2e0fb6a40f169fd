import { joinPath, writeFileAtomic } from '#platform'
import { LatentkitError } from '../../platform/errors.js'
import { clipVocabularyFiles } from '../../text/index.js'
import {
  autoencoderRenames,
  autoencoderToDiffusers,
  scheduleToDiffusers,
  unetRenames,
  unetToDiffusers,
} from '../../weights/diffusers/index.js'
import { type Rename, renameTensors } from '../../weights/rename.js'
import { writeSafetensors } from '../../weights/safetensors.js'
import type { StoredTensor } from '../../weights/tensor-file.js'
import { autoencoderOf, type Exported, oneScale, scaledWeights } from './exported.js'
import { pipelineOf } from './pipeline.js'
import { type TextEncoder, textEncodersOf, tokenizerFiles } from './text-encoders.js'
import { inType, type WeightType } from './types.js'

/**
 * Writes a model as a folder of diffusers: `unet`, `vae`, `scheduler`, text encoders and tokenizers, and `model_index.json`
 * for the pipeline that it is made for. A text encoder that latentkit trained has no class there, its output goes in as
 * `prompt_embeds`; neither has a network that guesses depth.
 *
 * @throws LatentkitError where diffusers has no word for a network, naming it; FileError where a file cannot be written.
 */
export async function writeDiffusers(
  model: Exported,
  folder: string,
  { dtype }: { readonly dtype?: WeightType | undefined } = {},
): Promise<void> {
  const { config, checkpoint } = model
  const { unet_config: unet, diffusion, conditioning } = config
  if (unet === undefined || diffusion === undefined)
    throw new LatentkitError(`Cannot write ${checkpoint.name} for diffusers: it holds a first stage alone`)
  const stage = autoencoderOf(config)
  const pipeline = pipelineOf(conditioning)
  const encoders = expressed(checkpoint.name, () => textEncodersOf(conditioning))
  const configs = expressed(checkpoint.name, () => ({
    'unet/config.json': unetToDiffusers(unet, conditioning?.sizes?.outdim),
    'vae/config.json': autoencoderToDiffusers(stage, oneScale(config) ?? 1),
    'scheduler/scheduler_config.json': scheduleToDiffusers(diffusion),
    ...pipeline.configs,
    ...Object.fromEntries(encoders.map(({ part, config }) => [`${part}/config.json`, config])),
    'model_index.json': { ...pipeline.index, ...Object.fromEntries(encoders.flatMap(componentsOf)) },
  }))
  const weights = scaledWeights(model)
  const write = async (path: string, tensors: ReadonlyMap<string, StoredTensor>) =>
    writeSafetensors(joinPath(folder, path), inType(tensors, dtype), new Map([['format', 'pt']]))
  const renamed = (prefix: string, rename: Rename) =>
    renameTensors({ name: checkpoint.name, tensors: below(weights, prefix) }, rename, 'the network').tensors
  const label = conditioning?.sizes ? 'add_embedding' : 'class_embedding'
  await write(
    'unet/diffusion_pytorch_model.safetensors',
    renamed('model.diffusion_model.', unetRenames(unet, label).toDiffusers),
  )
  await write(
    'vae/diffusion_pytorch_model.safetensors',
    renamed('first_stage_model.', autoencoderRenames(stage.ddconfig).toDiffusers),
  )
  for (const { part, prefix, tensors } of encoders)
    await write(`${part}/model.safetensors`, tensors(below(weights, prefix)))
  const vocabulary = encoders.length > 0 ? clipVocabulary(model) : undefined
  for (const { tokenizer, padding, length } of encoders)
    for (const [name, text] of Object.entries(tokenizerFiles(vocabulary!, padding, length)))
      await writeFileAtomic(joinPath(folder, tokenizer, name), text)
  for (const [path, json] of Object.entries(configs)) {
    const dated = '_class_name' in json ? { ...json, _diffusers_version: diffusersVersion } : json
    await writeFileAtomic(joinPath(folder, path), `${JSON.stringify(dated, null, 2)}\n`)
  }
}

/** Whose words these are: some pipelines ask, to mend what older ones wrote. */
const diffusersVersion = '0.30.0'

const componentsOf = ({ part, tokenizer, config }: TextEncoder) => [
  [part, ['transformers', (config.architectures as string[])[0]]],
  [tokenizer, ['transformers', 'CLIPTokenizer']],
]

function clipVocabulary({ checkpoint }: Exported): ReturnType<typeof clipVocabularyFiles> {
  const { merges } = JSON.parse(checkpoint.info.vocabulary ?? '{}') as { merges?: unknown }
  if (typeof merges !== 'string')
    throw new LatentkitError(`Cannot write ${checkpoint.name} for diffusers: it has no vocabulary of CLIP`)
  return clipVocabularyFiles(merges)
}

const below = (tensors: ReadonlyMap<string, StoredTensor>, prefix: string): Map<string, StoredTensor> =>
  new Map([...tensors].flatMap(([name, t]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), t]] : [])))

function expressed<T>(file: string, write: () => T): T {
  try {
    return write()
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new LatentkitError(`Cannot write ${file} for diffusers: ${cause.message}`, { cause })
  }
}
