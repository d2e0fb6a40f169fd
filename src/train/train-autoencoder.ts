import { downsamplingFactor, hasCodebook } from '../autoencoder/config.js'
import {
  type Dataset,
  drawPictures,
  fingerprint,
  fixedDraws,
  loadBatch,
  splitDataset,
  type Transform,
  trainingBatches,
} from '../data/index.js'
import { modelConfig } from '../pipelines/model-config.js'
import { version } from '../platform/version.js'
import { type Device, hostTensor, type WeightSource } from '../runtime/index.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import type { AutoencoderRecipe } from './autoencoder-recipe.js'
import { openData } from './data-settings.js'
import type { TrainEvent } from './events.js'
import { firstStageEvaluation } from './first-stage-evaluation.js'
import { openFirstStageLearner } from './first-stage-learner.js'
import { fit, type Task } from './fit.js'
import type { DeviceLearner } from './learner.js'
import { openPerceptual } from './perceptual-weights.js'
import { type Place, shareOf, shareOfDraws } from './share.js'
import { streamOf } from './streams.js'
import { tunedAsBefore } from './tuned-choices.js'

/** What training takes. */
export interface TrainOptions<Recipe> {
  readonly device: Device
  readonly recipe: Recipe
  /** The checkpoint that is written: a .safetensors file. */
  readonly path: string
  /** A checkpoint to go on from. */
  readonly resume?: Checkpoint | undefined
  /** A checkpoint whose weights a new run begins with. */
  readonly start?: Checkpoint | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Trains a first stage on a folder of pictures; ends with a checkpoint that encodes and decodes on its own.
 *
 * Throws FileError for pictures and checkpoints that cannot be used, DivergedError where the loss is no number any more.
 */
export async function* trainAutoencoder(options: TrainOptions<AutoencoderRecipe>): AsyncGenerator<TrainEvent> {
  const { device, recipe, path, resume, start, signal } = options
  const { data, training, loss } = recipe
  yield* tunedAsBefore(device, resume)
  const dataset = await openData(data, signal)
  await using frozen = await openPerceptual(recipe.loss)
  const config = modelConfig.parse({ first_stage_config: recipe.first_stage_config })
  await using learner = await openFirstStageLearner({
    device,
    recipe,
    frozen,
    path,
    info: {
      library: version,
      config,
      recipe: {
        ...recipe,
        data: { ...data, folder: undefined },
        loss: { ...loss, perceptual_weights: loss.perceptual_weights.map(path => path.replace(/^.*[\\/]/, '')) },
      },
      data: await fingerprint(dataset),
    },
    resume,
    start,
  })
  const task = await firstStageTask(recipe, dataset, learner, frozen, device.processes)
  yield* fit(task, learner, { settings: training, processes: device.processes, signal })
}

/** Held-out pictures that are measured. */
const measured = 64

async function firstStageTask(
  recipe: AutoencoderRecipe,
  dataset: Dataset,
  learner: DeviceLearner,
  frozen: WeightSource,
  place: Place,
): Promise<Task> {
  const { data, training, crop = data.size, first_stage_config: config } = recipe
  const { train, heldOut } = splitDataset(dataset)
  const transform: Transform = { size: crop, resize: data.size, crop: 'random', flip: data.flip, filter: 'bicubic' }
  const whole: Transform = { size: data.size, crop: 'centre', flip: false, filter: 'bicubic' }
  const side = crop / downsamplingFactor(config.ddconfig)
  const noiseShape = [training.batch, config.embed_dim, side, side]
  const noiseSize = noiseShape.reduce((a, b) => a * b)

  const tests = (heldOut.length > 0 ? heldOut : train).slice(0, measured)
  const pixelsOf = async (pictures: readonly number[]) =>
    (await loadBatch(dataset, fixedDraws(pictures.map(i => tests[i]!)), { transform: whole })).pixels
  const { evaluate, picture } = await firstStageEvaluation({
    training: recipe,
    learner,
    frozen,
    pixelsOf,
    count: tests.length,
    size: data.size,
  })

  return {
    evaluate,
    picture,
    async *batches(first, from) {
      const draws = shareOfDraws(drawPictures(train, from ?? streamOf(training.seed, 'data', 0)), place)
      let index = first
      const loaded = trainingBatches(dataset, draws, { transform, batch: training.batch })
      for await (const { pixels, state } of loaded) {
        const images = hostTensor(pixels, [training.batch, 3, crop, crop])
        const stream = streamOf(training.seed, 'posterior', index++)
        const draw = () =>
          hostTensor(
            shareOf(place, noiseSize, count => stream.randn(count)),
            noiseShape,
          )
        yield { inputs: hasCodebook(config) ? { images } : { images, noise: draw() }, data: state }
      }
    },
  }
}
