import { type FirstStageConfig, firstStageFactor } from '../autoencoder/config.js'
import { type Dataset, drawPictures, fingerprint, fixedDraws, splitDataset } from '../data/index.js'
import { vocabularyOf } from '../pipelines/checkpoint-model.js'
import { type ModelConfig, modelConfig } from '../pipelines/model-config.js'
import { version } from '../platform/version.js'
import type { WeightSource } from '../runtime/index.js'
import { validate } from '../schema/validate.js'
import { bpeTokenizer, learnBpe, type Vocabulary, vocabularySize } from '../text/bpe.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import type { TensorToWrite } from '../weights/safetensors.js'
import { openData } from './data-settings.js'
import { diffusionProgram } from './diffusion.js'
import { type DiffusionSource, diffusionBatches, diffusionInputs } from './diffusion-batches.js'
import type { DiffusionRecipe } from './diffusion-recipe.js'
import type { TrainEvent } from './events.js'
import { fit, type Task } from './fit.js'
import { channelFactors, encodeDataset } from './latents.js'
import { type DeviceLearner, openLearner } from './learner.js'
import { samplePrompts } from './sample-prompts.js'
import type { Place } from './share.js'
import { streamOf } from './streams.js'
import type { TrainOptions } from './train-autoencoder.js'

/** What training a diffusion model takes. */
export interface TrainDiffusionOptions extends TrainOptions<DiffusionRecipe> {
  /** The first stage: a checkpoint that holds one. */
  readonly firstStage: Checkpoint
  /** Where latents are kept; latentkit's folder in the user's cache by default. */
  readonly latentFolder?: string
}

/**
 * Trains a diffusion model, with a text encoder if the recipe has one, in the latents of a frozen first stage; ends with
 * a checkpoint that generates pictures on its own.
 *
 * Throws FileError for pictures and checkpoints that cannot be used, DivergedError where the loss is no number any more.
 */
export async function* trainDiffusion(options: TrainDiffusionOptions): AsyncGenerator<TrainEvent> {
  const { device, recipe, path, resume, start, signal, firstStage, latentFolder } = options
  const { data, training } = recipe
  const { processes } = device
  const dataset = await openData(data, signal)
  const { train } = splitDataset(dataset)
  const before = resume ?? start
  const vocabulary = recipe.cond_stage_config && (before ? vocabularyOf(before) : learn(recipe, dataset, train))
  const { first_stage_config } = validate(modelConfig, firstStage.info.config, `${firstStage.name}: config`)
  const unscaled = diffusionModel(recipe, first_stage_config, vocabulary ? vocabularySize(vocabulary) : 0)
  // One process computes latents for all that share its disk.
  if (processes.rank > 0) await processes.barrier()
  const latents = yield* encodeDataset({
    device,
    dataset,
    checkpoint: firstStage,
    config: unscaled,
    size: data.size,
    flip: data.flip,
    signal,
    ...(latentFolder !== undefined && { folder: latentFolder }),
  })
  if (processes.rank === 0) await processes.barrier()
  const config = modelConfig.parse({ ...unscaled, ...channelFactors(latents, train) })
  const source: DiffusionSource = {
    config,
    dataset,
    latents,
    tokenizer: vocabulary && bpeTokenizer(vocabulary),
    minSnrGamma: recipe.loss.min_snr_gamma,
  }
  const frozenWeights = new Map([...firstStage.weights].filter(([name]) => name.startsWith('first_stage_model.')))
  const also = new Map<string, TensorToWrite>(
    [...frozenWeights].map(([name, { dtype, shape }]) => [
      name,
      { dtype, shape, bytes: async () => (await firstStage.read(name)).bytes },
    ]),
  )
  await using learner = await openLearner({
    device,
    program: diffusionProgram(config, { batch: training.batch, latents: latents.shape }, recipe.loss),
    frozen: frozenWeights,
    settings: training,
    path,
    info: {
      library: version,
      config,
      ...(vocabulary && { vocabulary: JSON.stringify(vocabulary) }),
      recipe: { ...recipe, data: { ...data, folder: undefined }, first_stage: undefined },
      data: await fingerprint(dataset),
    },
    also,
    resume,
    start,
  })
  const task = await diffusionTask(recipe, source, learner, frozenWeights, processes)
  yield* fit(task, learner, { settings: training, processes, signal })
}

const learn = (recipe: DiffusionRecipe, { pictures }: Dataset, train: readonly number[]): Vocabulary =>
  learnBpe(
    train.flatMap(i => pictures[i]!.captions),
    recipe.vocabulary,
  )

/** The model that a recipe describes over a first stage, its latents as yet unscaled. */
export function diffusionModel(
  { unet_config, cond_stage_config, diffusion, data }: DiffusionRecipe,
  first_stage_config: FirstStageConfig,
  vocabularySize: number,
): ModelConfig {
  const image_size = data.size / firstStageFactor(first_stage_config)
  const config = {
    first_stage_config,
    unet_config: { ...unet_config, image_size },
    ...(cond_stage_config && { cond_stage_config: { ...cond_stage_config, vocab_size: vocabularySize } }),
    diffusion,
  }
  return validate(modelConfig, config, 'the recipe over this first stage')
}

async function diffusionTask(
  recipe: DiffusionRecipe,
  source: DiffusionSource,
  learner: DeviceLearner,
  frozen: WeightSource,
  place: Place,
): Promise<Task> {
  const { training, samples } = recipe
  const { dataset, latents, config } = source
  const { train, heldOut } = splitDataset(dataset)
  const tests = heldOut.length > 0 ? heldOut : train
  const batch = Math.min(training.batch, tests.length)
  const shapes = { batch, latents: latents.shape }
  const measure = await learner.state.compile(diffusionProgram(config, shapes, recipe.loss), { use: learner.use })
  const inputsOf = diffusionInputs(source)
  const length = latents.shape.reduce((a, b) => a * b)
  const groups = Math.floor(tests.length / batch)
  const sampler = await samplePrompts({
    config,
    learner,
    frozen,
    tokenizer: source.tokenizer,
    ...samples,
  })

  /** Mean loss on held-out pictures; times are spread evenly, noise is the same every time. */
  async function heldOutLoss(withCaption: boolean): Promise<number> {
    let sum = 0
    for (let group = 0; group < groups; group++) {
      const draws = fixedDraws(tests.slice(group * batch, (group + 1) * batch))
      const captions = draws.map(({ index }) => (withCaption ? (dataset.pictures[index]!.captions[0] ?? '') : ''))
      const noise = streamOf(training.seed, 'held-out', group).randn(batch * length)
      const { timesteps } = config.diffusion!
      const times = draws.map((_, i) => Math.floor(((i + (group + 0.5) / groups) / batch) * timesteps))
      const { loss } = await measure(inputsOf(draws, captions, { noise, times }))
      sum += Number(loss!.data[0])
    }
    return sum / groups
  }

  return {
    batches(first, from) {
      const draws = drawPictures(train, from ?? streamOf(training.seed, 'data', 0))
      const { batch, seed } = training
      return diffusionBatches(source, draws, { first, batch, seed, captionDropout: recipe.caption_dropout, place })
    },
    async evaluate() {
      const loss = await heldOutLoss(true)
      return source.tokenizer ? { loss, loss_without_caption: await heldOutLoss(false) } : { loss }
    },
    picture: sampler,
  }
}
