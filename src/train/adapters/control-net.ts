import { joinPath, writeFileAtomic } from '#platform'
import { readersOf } from '../../conditioning/index.js'
import { withHints } from '../../data/index.js'
import { checkpointModel } from '../../pipelines/loading/checkpoint-model.js'
import { factorOf, type ModelConfig } from '../../pipelines/model-config.js'
import { controlScope } from '../../pipelines/networks.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import { controlRenames, unetToDiffusers } from '../../weights/diffusers/index.js'
import { fromFloat32, toFloat32 } from '../../weights/dtypes.js'
import { type TensorToWrite, writeSafetensors } from '../../weights/safetensors.js'
import type { TrainEvent } from '../events.js'
import { type FineTuneOptions, fineTune } from './fine-tune.js'
import type { ControlNetRecipe } from './recipes.js'

const ownPrefix = `${controlScope(0)}.`

/**
 * Trains a ControlNet beside a model that stays as it is, on hints that come with the pictures or from a folder, or else on
 * the pictures' edges (Zhang et al. 2023). The checkpoint has the original's names, `control_model.…`; beside it a folder `….diffusers` for diffusers'
 * ControlNetModel is written, where that has words for the UNet.
 *
 * Throws as all training does.
 */
export async function* trainControlNet(options: FineTuneOptions<ControlNetRecipe>): AsyncGenerator<TrainEvent> {
  const { base, recipe, path } = options
  const { config: plain } = checkpointModel(base)
  const conditioning = { ...plain.conditioning, control: { weights: [1], places: 1 } }
  const config: ModelConfig = { ...plain, conditioning }
  const { hints } = recipe

  async function publish(values: ReadonlyMap<string, Float32Array>): Promise<string | undefined> {
    const folder = path.replace(/\.safetensors$/, '.diffusers')
    const written = diffusersFiles(config, values, shapes)
    if (typeof written === 'string') return `${folder} is not written: ${written}`
    await writeSafetensors(
      joinPath(folder, 'diffusion_pytorch_model.safetensors'),
      written.tensors,
      new Map([['format', 'pt']]),
    )
    await writeFileAtomic(joinPath(folder, 'config.json'), `${JSON.stringify(written.config, null, 2)}\n`)
    return undefined
  }

  const shapes = new Map<string, readonly number[]>()
  yield* fineTune(options, {
    config,
    reader: readersOf(base.name, conditioning, base.info),
    publish,
    pictures: async source => (hints === undefined ? source : withHints(source, hints)),
    begin: await encoderHalf(base),
    adapt(program) {
      for (const { name, shape } of program.parameters) shapes.set(name, shape)
      return program
    },
  })
}

/** The UNet's own encoder half, as the copy's start. */
async function encoderHalf(base: Checkpoint): Promise<Map<string, Float32Array>> {
  const start = new Map<string, Float32Array>()
  for (const name of base.weights.keys()) {
    const [, inner] = /^model\.diffusion_model\.((?!output_blocks|out\.|id_predictor).*)$/.exec(name) ?? []
    if (inner !== undefined) start.set(ownPrefix + inner, toFloat32(await base.read(name)))
  }
  return start
}

/** The ControlNet as diffusers has it; a sentence where it has no words for its UNet. */
function diffusersFiles(
  { unet_config, ...config }: ModelConfig,
  values: ReadonlyMap<string, Float32Array>,
  shapes: ReadonlyMap<string, readonly number[]>,
): string | { tensors: Map<string, TensorToWrite>; config: Record<string, unknown> } {
  let unet: Record<string, unknown>
  try {
    unet = unetToDiffusers(unet_config!)
  } catch (error) {
    if (error instanceof RangeError) return error.message
    throw error
  }
  const halvings = Math.log2(factorOf(config))
  const { toDiffusers } = controlRenames(unet_config!, 2 + 2 * halvings)
  const tensors = new Map<string, TensorToWrite>()
  for (const [name, data] of values) {
    const renamed = toDiffusers(name.slice(ownPrefix.length), shapes.get(name)!)
    if (renamed === undefined) return `it has no place for ${name}`
    tensors.set(renamed.name, fromFloat32(data, renamed.shape))
  }
  const { up_block_types: _, mid_block_type: __, sample_size: ___, out_channels: ____, ...shared } = unet
  const widths = [16, 32, 96, 256]
  const hint = Array.from({ length: halvings + 1 }, (_, i) => widths[i] ?? widths.at(-1)!)
  return {
    tensors,
    config: {
      ...shared,
      _class_name: 'ControlNetModel',
      conditioning_embedding_out_channels: hint,
      controlnet_conditioning_channel_order: 'rgb',
    },
  }
}
