import { LatentkitError } from '../../platform/errors.js'
import { fromFloat32, toFloat32 } from '../../weights/dtypes.js'
import { computedTensor, storedTensors } from '../../weights/stored.js'
import type { StoredTensor } from '../../weights/tensor-file.js'
import type { CheckpointModel } from '../loading/checkpoint-model.js'
import { channelValues, type ModelConfig } from '../model-config.js'

/** What is written of a model. */
export type Exported = Pick<CheckpointModel, 'checkpoint' | 'config' | 'weights'>

/** All weights of a model, adapters among them; none is read yet. */
export const weightsOf = ({ weights, checkpoint }: Exported): Map<string, StoredTensor> =>
  storedTensors({ ...weights, name: checkpoint.name })

/** The words of a model's KL autoencoder, the only first stage that diffusers has. */
function autoencoderOf({ first_stage_config: stage }: Pick<ModelConfig, 'first_stage_config'>) {
  if (!('ddconfig' in stage) || 'f' in stage || 'n_embed' in stage)
    throw new LatentkitError('Only models over a KL autoencoder can be written so; found another first stage')
  return stage
}

/** The number that scales all latents, where that is all that is done to them. */
export const oneScale = ({ scale_factor, shift_factor }: ModelConfig): number | undefined =>
  typeof scale_factor === 'number' && shift_factor === 0 ? scale_factor : undefined

/** All weights, with the latents' scale and shift in the two convolutions around them where no single number says them. */
export function scaledWeights(model: Exported): Map<string, StoredTensor> {
  const { config, checkpoint } = model
  const weights = weightsOf(model)
  if (oneScale(config) !== undefined) return weights
  const { embed_dim: channels } = autoencoderOf(config)
  const scale = channelValues(config.scale_factor, channels)
  const shift = channelValues(config.shift_factor, channels)
  const change = (layer: string, move: (weight: Float32Array, bias: Float32Array) => void) => {
    const names = [`first_stage_model.${layer}.weight`, `first_stage_model.${layer}.bias`] as const
    const moved = async () => {
      const [weight, bias] = await Promise.all(
        names.map(async name => toFloat32(await model.weights.read(name)).slice()),
      )
      move(weight!, bias!)
      return [weight!, bias!]
    }
    for (const [i, name] of names.entries()) {
      const { shape } = weights.get(name)!
      const bytes = async () => fromFloat32((await moved())[i]!, shape).bytes
      weights.set(name, computedTensor(checkpoint.name, { dtype: 'F32', shape }, bytes))
    }
  }
  // Rows of means, then of log variances: the model's latents are (z - shift) scale.
  change('quant_conv', (weight, bias) => {
    const width = weight.length / bias.length
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < width; i++) weight[c * width + i]! *= scale[c]!
      bias[c] = (bias[c]! - shift[c]!) * scale[c]!
      bias[channels + c]! += 2 * Math.log(Math.abs(scale[c]!))
    }
  })
  change('post_quant_conv', (weight, bias) => {
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
