import { z } from 'zod'
import { openSource } from '#platform'
import { FileError, LatentkitError } from '../../platform/errors.js'
import type { SourceLike } from '../../platform/types.js'
import { suggest, validate } from '../../schema/index.js'
import { trace } from '../../tensor/program.js'
import { f32 } from '../../tensor/tensor.js'
import { classifierConfig, noisyClassifier } from '../../unet/classifier.js'
import { type Checkpoint, openCheckpoint } from '../../weights/checkpoint.js'
import { expectTensors } from '../../weights/expect-tensors.js'
import { closingOnError } from '../../weights/tensor-file.js'
import { type ModelConfig, modelConfig } from '../model-config.js'

/** A noisy classifier with the names of its classes, and of the model in whose latents it works all that it must share. */
export const classifierModelConfig = z.strictObject({
  classifier_config: classifierConfig,
  names: z.array(z.string().min(1)).min(2),
  model: modelConfig.describe('the model that it guides, without its UNet: first stage, scale and noise schedule'),
})
export type ClassifierModelConfig = z.infer<typeof classifierModelConfig>

/** A noisy classifier that fits a model. */
export interface ClassifierModel {
  readonly checkpoint: Checkpoint
  readonly config: ClassifierModelConfig
}

/** The part of a model that its classifier must share: latents and noise. */
const sharedBy = ({ first_stage_config, scale_factor, shift_factor, diffusion }: ModelConfig) => ({
  first_stage_config,
  scale_factor,
  shift_factor,
  // What the network predicts of the noise is its own business, the noise is not.
  diffusion: diffusion && { ...diffusion, parameterization: diffusion.parameterization === 'flow' ? 'flow' : 'v' },
})

/**
 * Opens a noisy classifier that latentkit trained and holds it against the model that it is to guide.
 *
 * @throws FileError where the file holds none, or one for other latents or another noise schedule.
 */
export async function openClassifier(from: SourceLike, model: ModelConfig): Promise<ClassifierModel> {
  const checkpoint = await openCheckpoint(await openSource(from))
  return closingOnError(checkpoint, async () => {
    const { name, info, weights } = checkpoint
    if (!('classifier_config' in info.config)) {
      throw new FileError(name, 'holds no classifier; train one: latentkit train classifier RECIPE.yaml')
    }
    const config = validate(classifierModelConfig, info.config, `${name}: config`)
    const own = sharedBy(config.model)
    const theirs = sharedBy(model)
    const other = (Object.keys(own) as (keyof typeof own)[]).find(
      key => JSON.stringify(own[key]) !== JSON.stringify(theirs[key]),
    )
    if (other !== undefined) {
      throw new FileError(name, `is a classifier for another model: its ${other} differs; train one for this model`)
    }
    const { image_size, in_channels } = config.classifier_config.encoder
    const side = Number(image_size)
    const { parameters } = trace({ x: f32(1, in_channels, side, side), t: f32(1) }, (at, { x, t }) =>
      noisyClassifier(at('classifier'), config.classifier_config, x, t),
    )
    expectTensors({ name, tensors: weights }, new Map(parameters.map(p => [p.name, p.shape])), {
      what: 'the classifier',
    })
    return { checkpoint, config }
  })
}

/** The number of a class that is given by its name or its number. */
export function classNumber({ config: { names } }: ClassifierModel, wanted: string | number | undefined): number {
  if (wanted === undefined) {
    throw new LatentkitError(
      `generate: the classifier leads to a class; wanted is class, one of ${names.slice(0, 20).join(', ')}`,
    )
  }
  const named = names.indexOf(String(wanted))
  const number = named >= 0 ? named : Number(wanted)
  if (Number.isInteger(number) && number >= 0 && number < names.length) return number
  throw new LatentkitError(`generate: the classifier knows no class "${wanted}"; ${suggest(String(wanted), names)}`)
}
