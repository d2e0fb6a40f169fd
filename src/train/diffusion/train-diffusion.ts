import { type FirstStageConfig, firstStageFactor } from '../../autoencoder/config.js'
import {
  type ConditioningConfig,
  type ConditionsReader,
  learnConditions,
  readersOf,
  sightsOf,
} from '../../conditioning/index.js'
import {
  type Dataset,
  drawByShape,
  drawPictures,
  fingerprint,
  fixedDraws,
  heldOutPictures,
  splitDataset,
} from '../../data/index.js'
import { factorOf, type ModelConfig, modelConfig } from '../../pipelines/model-config.js'
import { LatentkitError } from '../../platform/errors.js'
import { version } from '../../platform/version.js'
import type { HostTensors, WeightSource } from '../../runtime/index.js'
import { validate } from '../../schema/validate.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import type { TensorToWrite } from '../../weights/safetensors.js'
import { drawingOf, openDataSource, viewingOf, withoutPlaces } from '../data-settings.js'
import type { TrainEvent } from '../events.js'
import { openFigures } from '../figures.js'
import type { TrainOptions } from '../first-stage/train-autoencoder.js'
import { fit, type Task } from '../fit.js'
import { channelFactors } from '../latents/channel-factors.js'
import type { Latents } from '../latents/contract.js'
import { encodeSource } from '../latents/latents.js'
import { type Evaluation, openLearner } from '../learner.js'
import { prepareDevice } from '../prepare-device.js'
import type { Place } from '../share.js'
import { streamOf } from '../streams.js'
import { type DiffusionSource, diffusionBatches, diffusionInputs } from './batches.js'
import { conditionBatches } from './condition-batches.js'
import { openFrozenEmbedders } from './frozen-embedders.js'
import { diffusionProgram } from './programs.js'
import type { DiffusionRecipe } from './recipe.js'
import { keptNeighbours, retrieved } from './retrieval.js'
import { openPainter, type Painter, sampleGrid } from './sample-grid.js'

/** What training a diffusion model takes. */
export interface TrainDiffusionOptions extends TrainOptions<DiffusionRecipe> {
  /** The first stage: a checkpoint that holds one. Without one the model works on pixels. */
  readonly firstStage?: Checkpoint | undefined
  /** Where latents are kept; latentkit's folder in the user's cache by default. */
  readonly latentFolder?: string
}

/** What stands in for a first stage where there is none: pixels are their own latents. */
const pixels: Pick<Checkpoint, 'name' | 'info' | 'weights' | 'read'> = {
  name: 'pixels',
  info: { library: version, config: { first_stage_config: { f: 1 } } },
  weights: new Map(),
  read: async tensor => {
    throw new LatentkitError(`There is no tensor "${tensor}": pixels have no first stage`)
  },
}

/**
 * Trains a diffusion model, with the embedders of its conditions, in the latents of a frozen first stage; ends with a
 * checkpoint that generates pictures on its own.
 *
 * Throws FileError for pictures and checkpoints that cannot be used, DivergedError where the loss is no number any more.
 */
export async function* trainDiffusion(options: TrainDiffusionOptions): AsyncGenerator<TrainEvent> {
  const { device, recipe, path, resume, start, signal, firstStage = pixels, latentFolder } = options
  const { data, training } = recipe
  const { processes } = device
  yield* prepareDevice(device, training, resume)
  const pictures = await openDataSource(data, signal)
  const { first_stage_config } = validate(modelConfig, firstStage.info.config, `${firstStage.name}: config`)
  // One process computes latents for all that share its disk.
  if (processes.rank > 0) await processes.barrier()
  const latents = yield* encodeSource({
    device,
    source: pictures,
    checkpoint: firstStage,
    config: modelConfig.parse({ first_stage_config }),
    ...viewingOf(data),
    sights: sightsOf(recipe.conditioning),
    signal,
    ...(latentFolder !== undefined && { folder: latentFolder }),
  })
  await using _ = { [Symbol.asyncDispose]: latents.close }
  if (processes.rank === 0) await processes.barrier()
  const { dataset } = latents
  const { train } = splitDataset(dataset, { share: data.held_out })
  const { config: known, vocabulary } = await learned(recipe, dataset, train, resume ?? start)
  const { conditioning, neighbours } = yield* retrieved(recipe, known, { device, latents, train, signal })
  const unscaled = diffusionModel(recipe, first_stage_config, conditioning)
  checkBuckets(unscaled, data)
  const config = modelConfig.parse({ ...unscaled, ...(await latentFactors(recipe, latents, train)) })
  const reader = readersOf('the recipe', conditioning, { vocabulary, neighbours })
  const source: DiffusionSource = {
    config,
    latents,
    conditions: conditionBatches(config, reader, latents),
    loss: recipe.loss,
  }
  const program = diffusionProgram(config, { batch: training.batch, latents: latents.shape }, recipe.loss)
  const programFor = ({ x0 }: HostTensors) => {
    const [batch, ...latents] = x0!.shape as unknown as [number, number, number, number]
    return diffusionProgram(config, { batch, latents }, recipe.loss)
  }
  const stageWeights = new Map([...firstStage.weights].filter(([name]) => name.startsWith('first_stage_model.')))
  await using embedders = await openFrozenEmbedders(config, recipe.frozen_embedders, program)
  const frozen = new Map([...stageWeights, ...embedders.weights])
  const also = new Map<string, TensorToWrite>([...embedders.also, ...keptNeighbours(conditioning, neighbours)])
  for (const [name, { dtype, shape }] of stageWeights)
    also.set(name, { dtype, shape, bytes: async () => (await firstStage.read(name)).bytes })
  await using learner = await openLearner({
    device,
    program,
    programFor: data.buckets && programFor,
    frozen,
    settings: training,
    path,
    info: {
      library: version,
      config,
      ...(vocabulary !== undefined && { vocabulary }),
      recipe: {
        ...recipe,
        data: withoutPlaces(data),
        first_stage: undefined,
        frozen_embedders: undefined,
        evaluate: undefined,
      },
      data: await fingerprint(dataset),
    },
    also,
    resume,
    start,
  })
  const task = await diffusionTask(recipe, { source, reader, heldOutShare: data.held_out }, learner, frozen, processes)
  const whole = { size: data.size, crop: 'centre', flip: false, filter: 'bicubic' } as const
  const heldOut = (most: number) => heldOutPictures(pictures, most, { ...drawingOf(data), transform: whole })
  await using figures = recipe.evaluate && (await openFigures(recipe.evaluate, { device, heldOut }))
  const measured = figures ? figures.beside(task, task.paint) : task
  yield* fit({ ...measured, skipped: pictures.skipped }, learner, { settings: training, processes, signal })
}

/** Refuses buckets whose sides do not survive what the first stage and the UNet shrink them by. */
export function checkBuckets(config: ModelConfig, { buckets }: DiffusionRecipe['data']): void {
  const [stage, unet] = [factorOf(config), 2 ** (config.unet_config!.channel_mult.length - 1)]
  if (!buckets || buckets.step % (stage * unet) === 0) return
  throw new LatentkitError(
    `data.buckets.step is ${buckets.step}; wanted a multiple of ${stage * unet}: the first stage shrinks by ${stage}, ` +
      `the UNet by ${unet}`,
  )
}

/** What the data decide of the conditions, or did when the checkpoint began that is gone on from. */
async function learned(
  { conditioning = {} }: DiffusionRecipe,
  dataset: Dataset,
  train: readonly number[],
  from: Checkpoint | undefined,
): Promise<{ config: ConditioningConfig; vocabulary?: string }> {
  const before = from && {
    config: validate(modelConfig, from.info.config, `${from.name}: config`).conditioning ?? {},
    stored: { vocabulary: from.info.vocabulary },
  }
  return learnConditions(conditioning, { dataset, train, before })
}

/** The model that a recipe describes over a first stage, its latents as yet unscaled. */
export function diffusionModel(
  { unet_config, diffusion, data }: Pick<DiffusionRecipe, 'unet_config' | 'diffusion' | 'data'>,
  first_stage_config: FirstStageConfig,
  conditioning: ConditioningConfig = {},
): ModelConfig {
  const image_size = data.size / firstStageFactor(first_stage_config)
  const config = {
    first_stage_config,
    unet_config: { ...unet_config, image_size },
    ...(Object.keys(conditioning).length > 0 && { conditioning }),
    diffusion,
  }
  return validate(modelConfig, config, 'the recipe over this first stage')
}

/** What brings latents to a deviation of 1. The original takes one factor from its first batch, here all pictures tell. */
async function latentFactors(
  { scale_factor }: DiffusionRecipe,
  latents: Latents,
  train: readonly number[],
): Promise<{ scale_factor: number | number[]; shift_factor: number | number[] }> {
  if (typeof scale_factor === 'number') return { scale_factor, shift_factor: 0 }
  const factors = await channelFactors(latents, train)
  if (scale_factor === 'per_channel') return factors
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = factors.scale_factor.map((scale, c) => 1 / scale ** 2 + factors.shift_factor[c]! ** 2)
  return { scale_factor: 1 / Math.sqrt(mean(squares) - mean(factors.shift_factor) ** 2), shift_factor: 0 }
}

/** What the task of training a diffusion model is made from. */
export interface TaskSource {
  readonly source: DiffusionSource
  readonly reader: ConditionsReader
  /** The share of the pictures that is measured with; a twentieth by default. */
  readonly heldOutShare?: number
}

/** The batches, held-out losses and pictures of training a diffusion model. */
export async function diffusionTask(
  recipe: Pick<DiffusionRecipe, 'training' | 'samples' | 'loss' | 'condition_dropout'>,
  { source, reader, heldOutShare }: TaskSource,
  learner: Evaluation,
  frozen: WeightSource,
  place: Place,
): Promise<Task & { readonly paint: Painter }> {
  const { training, samples } = recipe
  const { latents, config } = source
  const { train, heldOut } = splitDataset(latents.dataset, heldOutShare === undefined ? {} : { share: heldOutShare })
  const shape = String(latents.shape)
  const ofShape = (indices: readonly number[]) => indices.filter(index => String(latents.shapeOf(index)) === shape)
  const ownTests = ofShape(heldOut)
  const tests =
    ownTests.length > 0 ? ownTests : ofShape(train).length > 0 ? ofShape(train) : ofShape([...heldOut, ...train])
  const batch = Math.min(training.batch, tests.length)
  const shapes = { batch, latents: latents.shape }
  const measure = await learner.state.compile(diffusionProgram(config, shapes, recipe.loss), {
    use: learner.use,
    frozen,
  })
  const inputsOf = diffusionInputs(source)
  const length = latents.shape.reduce((a, b) => a * b)
  const groups = Math.floor(tests.length / batch)
  const paint = await openPainter({ source, guides: reader.guides, learner, frozen, pictures: tests, samples })

  /** Mean loss on held-out pictures; times are spread evenly, noise is the same every time. */
  async function heldOutLoss(dropped: boolean): Promise<number> {
    let sum = 0
    for (let group = 0; group < groups; group++) {
      const draws = fixedDraws(tests.slice(group * batch, (group + 1) * batch))
      const noise = streamOf(training.seed, 'held-out', group).randn(batch * length)
      const { timesteps } = config.diffusion!
      const times = draws.map((_, i) => Math.floor(((i + (group + 0.5) / groups) / batch) * timesteps))
      const conditions = await source.conditions(draws, {
        dropped: () => dropped,
        random: i => streamOf(training.seed, 'held-out-condition', group * batch + i),
      })
      const { loss } = await measure({ ...(await inputsOf(draws, { noise, times })), ...conditions })
      sum += Number(loss!.data[0])
    }
    return sum / groups
  }

  return {
    batches(first, from) {
      const begin = from && 'shuffle' in from ? from : streamOf(training.seed, 'data', 0)
      const drawn = drawPictures(train, begin)
      const shapeAt = (index: number) => String(latents.shapeOf(index))
      const draws = drawByShape(drawn, shapeAt, 'pending' in begin ? begin.pending : [])
      const { batch, seed } = training
      return diffusionBatches(source, draws, { first, batch, seed, dropout: recipe.condition_dropout, place })
    },
    async evaluate() {
      const loss = await heldOutLoss(false)
      return reader.guides ? { loss, loss_without_condition: await heldOutLoss(true) } : { loss }
    },
    picture: () => sampleGrid(paint, samples),
    paint,
  }
}
