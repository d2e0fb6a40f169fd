import { downsamplingFactor } from '../autoencoder/config.js'
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
import { gridOfImages, pixelsToImage } from '../image/index.js'
import { openSqueezenet } from '../perceptual/weights.js'
import { modelConfig } from '../pipelines/model-config.js'
import { version } from '../platform/version.js'
import { type Device, type HostTensors, hostTensor, type WeightSource } from '../runtime/index.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import { autoencoderProgram } from './autoencoder.js'
import type { AutoencoderRecipe } from './autoencoder-recipe.js'
import { openData } from './data-settings.js'
import type { TrainEvent } from './events.js'
import { fit, type Task } from './fit.js'
import { type DeviceLearner, openLearner } from './learner.js'
import { type Place, shareOf, shareOfDraws } from './share.js'
import { streamOf } from './streams.js'

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
  const { data, training, crop = data.size } = recipe
  const dataset = await openData(data, signal)
  const squeezenet = recipe.loss.perceptual_weight > 0 ? await openSqueezenet() : undefined
  await using _ = { [Symbol.asyncDispose]: async () => squeezenet?.close() }
  const frozen: WeightSource = { get: name => squeezenet?.tensors.get(name.replace(/^perceptual\./, '')) }
  const config = modelConfig.parse({ first_stage_config: recipe.first_stage_config })
  await using learner = await openLearner({
    device,
    program: autoencoderProgram(recipe, training.batch, crop, 'train'),
    frozen,
    settings: training,
    path,
    info: {
      library: version,
      config,
      recipe: { ...recipe, data: { ...data, folder: undefined } },
      data: await fingerprint(dataset),
    },
    resume,
    start,
  })
  const task = await firstStageTask(recipe, dataset, learner, frozen, device.processes)
  yield* fit(task, learner, { settings: training, processes: device.processes, signal })
}

/** Held-out pictures that are measured, and those of them that are shown. */
const measured = 64
const shown = 8

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
  const batch = Math.min(shown, tests.length)
  const evaluation = await learner.state.compile(autoencoderProgram(recipe, batch, data.size, 'evaluate'), {
    use: learner.use,
    frozen,
  })
  const pixelsOf = async (indices: readonly number[]) =>
    (await loadBatch(dataset, fixedDraws(indices), { transform: whole })).pixels
  const reconstruct = async (indices: readonly number[]) => {
    const pixels = await pixelsOf(indices)
    const outputs = await evaluation({ images: hostTensor(pixels, [batch, 3, data.size, data.size]) })
    return { pixels, outputs, reconstructions: outputs.reconstructions!.data as Float32Array }
  }

  return {
    async *batches(first, from) {
      const draws = shareOfDraws(drawPictures(train, from ?? streamOf(training.seed, 'data', 0)), place)
      let index = first
      const loaded = trainingBatches(dataset, draws, { transform, batch: training.batch })
      for await (const { pixels, state } of loaded) {
        const stream = streamOf(training.seed, 'posterior', index++)
        const noise = shareOf(place, noiseSize, count => stream.randn(count))
        const inputs: HostTensors = {
          images: hostTensor(pixels, [training.batch, 3, crop, crop]),
          noise: hostTensor(noise, noiseShape),
        }
        yield { inputs, data: state }
      }
    },
    async evaluate() {
      const sums: Record<string, number> = {}
      let groups = 0
      for (let i = 0; i + batch <= tests.length; i += batch, groups++) {
        const { pixels, outputs, reconstructions } = await reconstruct(tests.slice(i, i + batch))
        const { reconstructions: __, ...scalars } = outputs
        const values = Object.entries(scalars).map(([name, { data }]) => [name, Number(data[0])] as const)
        for (const [name, value] of [...values, ['psnr', meanPsnr(pixels, reconstructions, batch)] as const]) {
          sums[name] = (sums[name] ?? 0) + value
        }
      }
      return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / groups]))
    },
    async picture() {
      const { pixels, reconstructions } = await reconstruct(tests.slice(0, batch))
      const images = [pixels, reconstructions].flatMap(values =>
        Array.from({ length: batch }, (_, index) => pixelsToImage(values, data.size, data.size, { index })),
      )
      return gridOfImages(images, { columns: batch })
    },
  }
}

/** Mean over the pictures of a batch of the peak signal-to-noise ratio in dB, of values clamped to [-1, 1]. */
function meanPsnr(pixels: Float32Array, reconstructions: Float32Array, batch: number): number {
  const size = pixels.length / batch
  let sum = 0
  for (let i = 0; i < batch; i++) {
    let squares = 0
    for (let j = i * size; j < (i + 1) * size; j++) {
      squares += (pixels[j]! - Math.min(1, Math.max(-1, reconstructions[j]!))) ** 2
    }
    // 4: the square of the range, -1 to 1. A picture that is met exactly counts 100 dB.
    sum += Math.min(100, 10 * Math.log10((4 * size) / squares))
  }
  return sum / batch
}
