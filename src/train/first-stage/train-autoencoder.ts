import { downsamplingFactor, hasCodebook } from '../../autoencoder/config.js'
import {
  bucketShapes,
  fingerprintOf,
  heldOutPictures,
  inOneBatch,
  pictureBatches,
  type Source,
  type Transform,
} from '../../data/index.js'
import { modelConfig } from '../../pipelines/model-config.js'
import { version } from '../../platform/version.js'
import { type Device, hostTensor, type WeightSource } from '../../runtime/index.js'
import { sizeOf } from '../../tensor/shape.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import { drawingOf, openDataSource, sharesOf, withoutPlaces } from '../data-settings.js'
import type { TrainEvent } from '../events.js'
import { openStageFigures } from '../figures.js'
import { fit, type Task } from '../fit.js'
import type { DeviceLearner } from '../learner.js'
import { prepareDevice } from '../prepare-device.js'
import { type Place, shareOf } from '../share.js'
import { streamOf } from '../streams.js'
import { type FirstStageEvaluation, firstStageEvaluation } from './evaluation.js'
import { openFirstStageLearner } from './learner.js'
import { openPerceptual } from './perceptual-weights.js'
import type { AutoencoderRecipe } from './recipe.js'

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
 * Trains a first stage on a folder of pictures, on shards or Parquet files; ends with a checkpoint that encodes and decodes on its own.
 *
 * Throws FileError for pictures and checkpoints that cannot be used, DivergedError where the loss is no number any more.
 */
export async function* trainAutoencoder(options: TrainOptions<AutoencoderRecipe>): AsyncGenerator<TrainEvent> {
  const { device, recipe, path, resume, start, signal } = options
  const { data, training, loss } = recipe
  yield* prepareDevice(device, training, resume)
  const source = await openDataSource(data, signal)
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
        data: withoutPlaces(data),
        evaluate: undefined,
        loss: { ...loss, perceptual_weights: loss.perceptual_weights.map(path => path.replace(/^.*[\\/]/, '')) },
      },
      data: await fingerprintOf(source),
    },
    resume,
    start,
  })
  const task = await firstStageTask(recipe, source, learner, frozen, device.processes)
  await using figures = recipe.evaluate && (await openStageFigures(recipe.evaluate, device))
  const measured = figures ? figures.beside(task, task.pairs) : task
  yield* fit(measured, learner, { settings: training, processes: device.processes, signal })
}

/** Held-out pictures that are measured. */
const tested = 64

async function firstStageTask(
  recipe: AutoencoderRecipe,
  source: Source,
  learner: DeviceLearner,
  frozen: WeightSource,
  place: Place,
): Promise<Task & Pick<FirstStageEvaluation, 'pairs'>> {
  const { data, training, crop = data.size, first_stage_config: config } = recipe
  const transform: Transform = {
    ...{ size: crop, resize: data.size, shares: sharesOf(data) },
    ...{ crop: 'random', flip: data.flip, filter: 'bicubic' },
  }
  const whole: Transform = { size: data.size, crop: 'centre', flip: false, filter: 'bicubic' }
  const shapes = data.buckets && bucketShapes(crop, data.buckets)
  const f = downsamplingFactor(config.ddconfig)

  const drawing = drawingOf(data)
  const tests = await heldOutPictures(source, tested, { ...drawing, transform: whole })
  const pixelsOf = async (pictures: readonly number[]) => inOneBatch(pictures.map(i => tests[i]!)).pixels
  const { evaluate, picture, pairs } = firstStageEvaluation({
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
    pairs,
    skipped: source.skipped,
    async *batches(first, from) {
      // Version 0.1 drew the pictures otherwise: its runs go on with an epoch of their own.
      const start = from && 'draws' in from ? from : { seed: training.seed }
      let index = first
      const loaded = pictureBatches(source, start, {
        ...{ ...drawing, transform, shapes },
        ...{ batch: training.batch, share: place },
      })
      for await (const { pixels, width, height, state } of loaded) {
        const images = hostTensor(pixels, [training.batch, 3, height, width])
        const noiseShape = [training.batch, config.embed_dim, height / f, width / f]
        const noiseSize = sizeOf(noiseShape)
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
