import { joinPath, writeFileAtomic } from '#platform'
import { LatentkitError } from '../../platform/errors.js'
import {
  plainUnetToDiffusers,
  scheduleToDiffusers,
  splitAttention,
  unetRenames,
  unetToDiffusers,
} from '../../weights/diffusers/index.js'
import { below, type Rename, renameTensors } from '../../weights/rename.js'
import { writeSafetensors } from '../../weights/safetensors.js'
import type { StoredTensor } from '../../weights/tensor-file.js'
import { type Exported, scaledWeights } from './exported.js'
import { stageToDiffusers } from './first-stage.js'
import { pipelineOf } from './pipeline.js'
import { textEncodersOf } from './text-encoders.js'
import { inType, type WeightType } from './types.js'

/**
 * Writes a model as a folder of diffusers: `unet`, the first stage, `scheduler`, text encoders and tokenizers, and
 * `model_index.json` for the pipeline that it is made for; a first stage alone as its weights and `config.json`. A text
 * encoder that latentkit trained has no class there, its output goes in as `prompt_embeds`; neither has a network that
 * guesses depth.
 *
 * @throws LatentkitError where diffusers has no word for a network, naming it; FileError where a file cannot be written.
 */
export async function writeDiffusers(
  model: Exported,
  folder: string,
  { dtype }: { readonly dtype?: WeightType | undefined } = {},
): Promise<void> {
  const { config, checkpoint } = model
  const { name } = checkpoint
  const stage = expressed(name, () => stageToDiffusers(config))
  const weights = scaledWeights(model)
  const write = async (path: string, tensors: ReadonlyMap<string, StoredTensor>) =>
    writeSafetensors(joinPath(folder, path), inType(tensors, dtype), new Map([['format', 'pt']]))
  const writeNetwork = async (part: string, tensors: ReadonlyMap<string, StoredTensor>, rename: Rename) => {
    // Files of other tools have more than their networks: losses, averages, numbers of the schedule.
    const placed = new Map([...tensors].filter(([name, { shape }]) => !checkpoint.origin || rename(name, shape)))
    await write(
      joinPath(part, 'diffusion_pytorch_model.safetensors'),
      renameTensors({ name, tensors: placed }, rename, 'the network').tensors,
    )
  }
  const stageWeights = below(weights, 'first_stage_model.')
  if (config.unet_config === undefined) {
    await writeNetwork('', stageWeights, stage.rename)
    return writeJson(joinPath(folder, 'config.json'), stage.config)
  }
  const { unet_config: unet, diffusion, conditioning } = config
  const pipeline = expressed(name, () => pipelineOf(config, stage.config))
  const encoders = expressed(name, () => textEncodersOf(conditioning))
  const configs = expressed(name, () => ({
    'unet/config.json': unet.use_spatial_transformer
      ? unetToDiffusers(unet, conditioning?.sizes?.outdim)
      : plainUnetToDiffusers(unet),
    [`${pipeline.stage}/config.json`]: stage.config,
    'scheduler/scheduler_config.json': scheduleToDiffusers(diffusion!),
    ...pipeline.configs,
    ...Object.fromEntries(encoders.map(({ part, config }) => [`${part}/config.json`, config])),
    'model_index.json': {
      ...pipeline.index,
      ...Object.fromEntries(encoders.flatMap(({ components }) => Object.entries(components))),
    },
  }))
  const texts = encoders.map(encoder => ({ ...encoder, files: encoder.files(checkpoint) }))
  const own = below(weights, 'model.diffusion_model.')
  const label = conditioning?.sizes ? 'add_embedding' : 'class_embedding'
  await writeNetwork(
    'unet',
    unet.use_spatial_transformer ? own : splitAttention(own, unet),
    unetRenames(unet, label).toDiffusers,
  )
  await writeNetwork(pipeline.stage, stageWeights, stage.rename)
  for (const { part, prefix, tensors, tokenizer, files } of texts) {
    await write(`${part}/model.safetensors`, tensors(below(weights, prefix)))
    for (const [file, text] of Object.entries(files)) await writeFileAtomic(joinPath(folder, tokenizer, file), text)
  }
  for (const [path, json] of Object.entries(configs)) await writeJson(joinPath(folder, path), json)
}

function writeJson(path: string, json: Readonly<Record<string, unknown>>): Promise<void> {
  const dated = '_class_name' in json ? { ...json, _diffusers_version: diffusersVersion } : json
  return writeFileAtomic(path, `${JSON.stringify(dated, null, 2)}\n`)
}

/** Whose words these are: some pipelines ask, to mend what older ones wrote. */
const diffusersVersion = '0.30.0'

function expressed<T>(file: string, write: () => T): T {
  try {
    return write()
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new LatentkitError(`Cannot write ${file} for diffusers: ${cause.message}`, { cause })
  }
}
