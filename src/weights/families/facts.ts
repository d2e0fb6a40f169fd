import { FileError } from '../../platform/errors.js'
import { toFloat64 } from '../dtypes.js'
import { readStored } from '../stored.js'
import type { StoredTensor } from '../tensor-file.js'
import type { ConfigJson } from './family.js'
import { namesOf } from './names.js'
import { type Recognised, recognise } from './recognise.js'

type Tensors = ReadonlyMap<string, StoredTensor>

/**
 * What some numbers of a file tell beyond its names and shapes: its noise schedule and the scale of its latents, which
 * CompVis' checkpoints keep, and whether a Stable Diffusion 2 predicts v.
 *
 * @param named whether the family was named, so that nothing is left to guess
 * @throws FileError where the file keeps a noise schedule that no configuration of ours says.
 */
export async function refined(
  found: Recognised,
  { file, tensors, named }: { file: string; tensors: Tensors; named: boolean },
): Promise<Recognised> {
  const isV = !named && found.family.name === 'sd2' && (await predictsV(tensors))
  const { family, config } = isV ? recognise(tensors, 'sd2-v')! : found
  const scale = await numbers(tensors.get('scale_factor'))
  const betas = await numbers(tensors.get('betas'))
  return {
    family,
    config: {
      ...config,
      ...(scale?.length === 1 && { scale_factor: round(scale[0]!) }),
      ...(betas &&
        config.diffusion !== undefined && { diffusion: { ...(config.diffusion as ConfigJson), ...ends(betas, file) } }),
    },
  }
}

/**
 * Both kinds have the same tensors. In those that predict v the bias before the last self-attention is spread wider, which
 * is the rule of ComfyUI, comfy/supported_models.py, SD20.model_type. AUTOMATIC1111 runs the UNet once to see
 * (modules/sd_models_config.py), others ask for a configuration.
 */
async function predictsV(tensors: Tensors): Promise<boolean> {
  const at = 'model.diffusion_model.output_blocks'
  const last = namesOf(tensors).count(at) - 1
  const bias = await numbers(tensors.get(`${at}.${last}.1.transformer_blocks.0.norm1.bias`), true)
  if (bias === undefined) return false
  const mean = bias.reduce((sum, value) => sum + value, 0) / bias.length
  return Math.sqrt(bias.reduce((sum, value) => sum + (value - mean) ** 2, 0) / bias.length) > 0.09
}

/** Elements of a small tensor; halves are too coarse for the constants of a model. */
async function numbers(tensor: StoredTensor | undefined, coarse = false): Promise<Float64Array | undefined> {
  const fine = tensor?.dtype === 'F32' || tensor?.dtype === 'F64'
  const size = tensor === undefined ? 0 : tensor.end - tensor.begin
  if (tensor === undefined || !(fine || coarse) || size === 0 || size > 1 << 20) return undefined
  return toFloat64(await readStored(tensor))
}

/** The decimal number that was written as float32. */
const round = (value: number): number => Number(value.toPrecision(6))

/** The words of a linear schedule by its betas. Source: ldm/modules/diffusionmodules/util.py, make_beta_schedule. */
function ends(betas: Float64Array, file: string): ConfigJson {
  const timesteps = betas.length
  const [linear_start, linear_end] = [round(betas[0]!), round(betas.at(-1)!)]
  const [a, b] = [Math.sqrt(linear_start), Math.sqrt(linear_end)]
  const isLinear = betas.every((beta, i) => {
    const wanted = (a + ((b - a) * i) / (timesteps - 1)) ** 2
    return Math.abs(beta - wanted) <= 1e-4 * wanted
  })
  if (isLinear) return { timesteps, beta_schedule: 'linear', linear_start, linear_end }
  throw new FileError(
    file,
    `keeps a noise schedule of ${timesteps} betas from ${linear_start} to ${linear_end} that is not linear as CompVis has it; give its configuration as config`,
  )
}
