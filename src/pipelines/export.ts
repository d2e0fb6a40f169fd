import { joinPath, writeFileAtomic } from '#platform'
import { LatentkitError } from '../platform/errors.js'
import { autoencoderRenames, autoencoderToDiffusers, unetRenames, unetToDiffusers } from '../weights/diffusers/index.js'
import type { Renames } from '../weights/diffusers/module-names.js'
import { fromFloat32, toFloat32 } from '../weights/dtypes.js'
import { renameTensors } from '../weights/rename.js'
import { type TensorToWrite, writeSafetensors } from '../weights/safetensors.js'
import type { CheckpointModel } from './checkpoint-model.js'
import { channelValues, type DiffusionConfig, type ModelConfig } from './model-config.js'

type Exported = Pick<CheckpointModel, 'checkpoint' | 'config' | 'weights'>

/**
 * Writes a model as CompVis' code loads it: one .safetensors file by the original names. There is one scale for all
 * latents there and no shift: where a model has more, they go into the convolutions around the latents.
 *
 * @throws LatentkitError where the first stage is no KL autoencoder, FileError where the file cannot be written.
 */
export async function writeCompvis(model: Exported, path: string): Promise<void> {
  await writeSafetensors(path, await scaledWeights(model))
}

/**
 * Writes a model as a folder of diffusers: `unet`, `vae`, `scheduler` and `model_index.json`, for its
 * StableDiffusionPipeline; a text encoder that latentkit trained has no class there, its output goes in as `prompt_embeds`.
 *
 * @throws LatentkitError where diffusers has no word for a network, naming it; FileError where a file cannot be written.
 */
export async function writeDiffusers(model: Exported, folder: string): Promise<void> {
  const { config, checkpoint } = model
  const { first_stage_config: stage, unet_config: unet, diffusion } = config
  if (unet === undefined || diffusion === undefined)
    throw new LatentkitError(`Cannot write ${checkpoint.name} for diffusers: it holds a first stage alone`)
  const configs = expressed(checkpoint.name, () => ({
    'unet/config.json': unetToDiffusers(unet),
    'vae/config.json': autoencoderToDiffusers(autoencoderOf(config), oneScale(config) ?? 1),
    'scheduler/scheduler_config.json': schedulerToDiffusers(diffusion),
    'model_index.json': modelIndex,
  }))
  const { ddconfig } = autoencoderOf({ first_stage_config: stage })
  const weights = await scaledWeights(model)
  const write = async (prefix: string, renames: Renames, path: string) => {
    const own = new Map(
      [...weights].flatMap(([name, t]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), t]] : [])),
    )
    const { tensors } = renameTensors({ name: checkpoint.name, tensors: own }, renames.toDiffusers, 'the network')
    await writeSafetensors(joinPath(folder, path), tensors, new Map([['format', 'pt']]))
  }
  await write('model.diffusion_model.', unetRenames(unet), 'unet/diffusion_pytorch_model.safetensors')
  await write('first_stage_model.', autoencoderRenames(ddconfig), 'vae/diffusion_pytorch_model.safetensors')
  for (const [path, json] of Object.entries(configs))
    await writeFileAtomic(joinPath(folder, path), `${JSON.stringify(json, null, 2)}\n`)
}

const nothing = [null, null] as const
const modelIndex = {
  _class_name: 'StableDiffusionPipeline',
  unet: ['diffusers', 'UNet2DConditionModel'],
  vae: ['diffusers', 'AutoencoderKL'],
  scheduler: ['diffusers', 'DDIMScheduler'],
  text_encoder: nothing,
  tokenizer: nothing,
  safety_checker: nothing,
  feature_extractor: nothing,
  image_encoder: nothing,
  requires_safety_checker: false,
}

/** The names differ: CompVis' linear is diffusers' scaled_linear. */
const betaSchedules: Partial<Record<DiffusionConfig['beta_schedule'], string>> = {
  linear: 'scaled_linear',
  sqrt_linear: 'linear',
  cosine: 'squaredcos_cap_v2',
}
const predictions: Partial<Record<string, string>> = { epsilon: 'epsilon', x0: 'sample', v: 'v_prediction' }

/** DDIM as CompVis has it: it ends at the first training step, and counts them from 1. */
function schedulerToDiffusers(diffusion: DiffusionConfig): Record<string, unknown> {
  const { beta_schedule, parameterization, timesteps, linear_start, linear_end, cosine_s } = diffusion
  const [schedule, prediction] = [betaSchedules[beta_schedule], predictions[parameterization]]
  if (schedule === undefined || prediction === undefined || cosine_s !== 8e-3)
    throw new RangeError(
      `diffusers has no schedule for ${beta_schedule} (cosine_s ${cosine_s}) and ${parameterization}`,
    )
  return {
    _class_name: 'DDIMScheduler',
    beta_start: linear_start,
    beta_end: linear_end,
    beta_schedule: schedule,
    clip_sample: false,
    num_train_timesteps: timesteps,
    prediction_type: prediction,
    set_alpha_to_one: false,
    steps_offset: 1,
    timestep_spacing: 'leading',
  }
}

function expressed<T>(file: string, write: () => T): T {
  try {
    return write()
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new LatentkitError(`Cannot write ${file} for diffusers: ${cause.message}`, { cause })
  }
}

function autoencoderOf({ first_stage_config: stage }: Pick<ModelConfig, 'first_stage_config'>) {
  if (!('ddconfig' in stage) || 'n_embed' in stage)
    throw new LatentkitError('Only models over a KL autoencoder are written for other tools; found another first stage')
  return stage
}

/** The number that scales all latents, where that is all that is done to them. */
const oneScale = ({ scale_factor, shift_factor }: ModelConfig): number | undefined =>
  typeof scale_factor === 'number' && shift_factor === 0 ? scale_factor : undefined

/** All weights, with the latents' scale and shift in the two convolutions around them where no single number says them. */
async function scaledWeights({ weights: { tensors, read }, config }: Exported): Promise<Map<string, TensorToWrite>> {
  const { embed_dim: channels } = autoencoderOf(config)
  const weights = new Map<string, TensorToWrite>(
    [...tensors].map(([name, { dtype, shape }]) => [
      name,
      { dtype, shape, bytes: async () => (await read(name)).bytes },
    ]),
  )
  if (oneScale(config) !== undefined) return weights
  const scale = channelValues(config.scale_factor, channels)
  const shift = channelValues(config.shift_factor, channels)
  const change = async (layer: string, move: (weight: Float32Array, bias: Float32Array) => void) => {
    const names = [`first_stage_model.${layer}.weight`, `first_stage_model.${layer}.bias`] as const
    const [weight, bias] = await Promise.all(names.map(async name => toFloat32(await read(name)).slice()))
    move(weight!, bias!)
    for (const [i, numbers] of [weight!, bias!].entries())
      weights.set(names[i]!, fromFloat32(numbers, tensors.get(names[i]!)!.shape))
  }
  // Rows of means, then of log variances: the model's latents are (z - shift) scale.
  await change('quant_conv', (weight, bias) => {
    const width = weight.length / bias.length
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < width; i++) weight[c * width + i]! *= scale[c]!
      bias[c] = (bias[c]! - shift[c]!) * scale[c]!
      bias[channels + c]! += 2 * Math.log(Math.abs(scale[c]!))
    }
  })
  await change('post_quant_conv', (weight, bias) => {
    for (let row = 0; row < bias.length; row++) {
      for (let c = 0; c < channels; c++) {
        const w = weight[row * channels + c]!
        weight[row * channels + c] = w / scale[c]!
        bias[row]! += w * shift[c]!
      }
    }
  })
  return weights
}
