import { hasCodebook } from '../../autoencoder/config.js'
import { type HostTensors, hostTensor } from '../../runtime/index.js'
import type { TensorToWrite } from '../../weights/safetensors.js'
import { type DeviceLearner, type LearnerOptions, openLearner } from '../learner.js'
import { shareOf } from '../share.js'
import { streamOf } from '../streams.js'
import { type Adversary, openAdversary, type Share } from './adversary.js'
import { type Codebook, openCodebook } from './codebook.js'
import { autoencoderProgram } from './programs.js'
import type { AutoencoderRecipe } from './recipe.js'
import { sidesOfImages } from './training.js'

export interface FirstStageLearnerOptions extends Omit<LearnerOptions, 'program' | 'settings' | 'beside' | 'more'> {
  readonly recipe: AutoencoderRecipe
}

/**
 * A first stage ready to be trained: each step moves the autoencoder, then the codes where they are moved from outside,
 * then the discriminator, which looks at what the autoencoder makes by then.
 */
export async function openFirstStageLearner(options: FirstStageLearnerOptions): Promise<DeviceLearner> {
  const { recipe, ...given } = options
  const { device, resume } = options
  const { training: settings, first_stage_config: stage, codebook: codes, crop: size = recipe.data.size } = recipe
  const adversary: Adversary | undefined =
    recipe.loss.disc_start === undefined
      ? undefined
      : await openAdversary({
          device,
          training: recipe,
          settings,
          size,
          bucketed: recipe.data.buckets !== undefined,
          resume,
        })
  let codebook: Codebook | undefined
  const programFor = (inputs: HostTensors) => autoencoderProgram(recipe, settings.batch, sidesOfImages(inputs), 'train')
  const learner = await openLearner({
    ...given,
    settings,
    program: autoencoderProgram(recipe, settings.batch, size, 'train'),
    programFor: recipe.data.buckets && programFor,
    beside: adversary ? [adversary.state] : [],
    more: async () =>
      new Map<string, TensorToWrite>([...((await adversary?.tensors()) ?? []), ...(codebook?.tensors() ?? [])]),
  })
  const { state, progress } = learner
  await adversary?.beside(state)
  if (hasCodebook(stage) && (codes?.ema || codes?.revive_after)) {
    const { processes } = device
    codebook = await openCodebook({ config: stage, settings: codes, seed: settings.seed, state, processes, resume })
  }

  let step = progress?.step ?? 0
  let shares: Share[] = []
  let midway = false

  /** The batch as the discriminator gets it: with latents drawn anew, as the original does. */
  function drawnAnew(inputs: HostTensors): HostTensors {
    if (inputs.noise === undefined) return inputs
    const { shape, data } = inputs.noise
    const stream = streamOf(settings.seed, 'discriminator', step * settings.accumulate + shares.length)
    return {
      ...inputs,
      noise: hostTensor(
        shareOf(device.processes, data.length, count => stream.randn(count)),
        shape,
      ),
    }
  }

  return {
    ...learner,
    get midway() {
      return midway
    },
    async accumulate(inputs, scale) {
      const whole = { ...inputs, ...adversary?.inputs(step) }
      await adversary?.start(whole)
      const result = await learner.accumulate(whole, scale)
      adversary?.take(result.outputs)
      codebook?.take(result.outputs)
      if (adversary) shares.push({ inputs: drawnAnew(whole), scale })
      return result
    },
    async update(learningRate) {
      const result = await learner.update(learningRate * recipe.lr_g_factor)
      midway = true
      if (Number.isFinite(result.gradientNorm)) await codebook?.learn(step)
      const terms = await adversary?.learn(shares, step, learningRate)
      shares = []
      step++
      midway = false
      return { ...result, ...(terms && { terms }) }
    },
    async [Symbol.asyncDispose]() {
      await adversary?.[Symbol.asyncDispose]()
      await learner[Symbol.asyncDispose]()
    },
  }
}
