import { type Dataset, drawPictures, fingerprint, fixedDraws, splitDataset } from '../../data/index.js'
import { modelSchedule } from '../../diffusion/index.js'
import type { Image } from '../../image/index.js'
import { classifierModelConfig } from '../../pipelines/loading/classifier-model.js'
import { modelConfig } from '../../pipelines/model-config.js'
import { FileError, LatentkitError } from '../../platform/errors.js'
import { version } from '../../platform/version.js'
import { type HostTensors, hostIntegers, hostTensor } from '../../runtime/index.js'
import { validate } from '../../schema/validate.js'
import { argmax, oneHot } from '../../tensor/arg.js'
import { add, equal, mul } from '../../tensor/binary.js'
import { logSoftmax } from '../../tensor/normalize.js'
import { type Program, trace } from '../../tensor/program.js'
import { mean, sum } from '../../tensor/reduce.js'
import { reshape } from '../../tensor/reshape.js'
import { f32, i64 } from '../../tensor/tensor.js'
import { cast, neg } from '../../tensor/unary.js'
import { type ClassifierConfig, noisyClassifier } from '../../unet/classifier.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import { openDataSource, viewingOf, withoutPlaces } from '../data-settings.js'
import { type DiffusionChance, diffusionInputs } from '../diffusion/batches.js'
import { diffusionRecipe } from '../diffusion/recipe.js'
import type { TrainEvent } from '../events.js'
import type { TrainOptions } from '../first-stage/train-autoencoder.js'
import { fit, type Task } from '../fit.js'
import { encodeSource } from '../latents/latents.js'
import { openLearner } from '../learner.js'
import { shareOf, shareOfDraws } from '../share.js'
import { streamOf } from '../streams.js'
import type { ClassifierRecipe } from './recipe.js'

/** What training a noisy classifier takes. */
export interface TrainClassifierOptions extends TrainOptions<ClassifierRecipe> {
  /** The diffusion model that it will guide. */
  readonly model: Checkpoint
  /** Where latents are kept; latentkit's folder in the user's cache by default. */
  readonly latentFolder?: string
}

/**
 * Trains a classifier of noisy latents at all times, by which a diffusion model that knows no classes can be led to one
 * (Dhariwal and Nichol 2021, section 4; guided-diffusion, classifier_train.py).
 *
 * Throws FileError for pictures without classes and checkpoints that cannot be used, DivergedError where the loss is no
 * number any more.
 */
export async function* trainClassifier(options: TrainClassifierOptions): AsyncGenerator<TrainEvent> {
  const { device, recipe, path, resume, start, signal, model: guided, latentFolder } = options
  const { data, training, classifier_config: config } = recipe
  const { processes } = device
  const { unet_config, conditioning: _, ...model } = validate(modelConfig, guided.info.config, `${guided.name}: config`)
  if (unet_config === undefined || model.diffusion === undefined) {
    throw new FileError(guided.name, 'holds no diffusion model that a classifier could guide, only a first stage')
  }
  // One process computes latents for all that share its disk.
  if (processes.rank > 0) await processes.barrier()
  const latents = yield* encodeSource({
    device,
    source: await openDataSource(data, signal),
    checkpoint: guided,
    config: modelConfig.parse(model),
    ...viewingOf(data),
    // The network is for one shape.
    shapes: undefined,
    signal,
    ...(latentFolder !== undefined && { folder: latentFolder }),
  })
  await using _latents = { [Symbol.asyncDispose]: latents.close }
  if (processes.rank === 0) await processes.barrier()
  const { dataset, shape } = latents
  const names = classesOf(dataset, config)
  checkSize(config, shape)
  await using learner = await openLearner({
    device,
    program: classifierProgram(config, training.batch, shape),
    frozen: new Map(),
    settings: training,
    path,
    info: {
      library: version,
      config: classifierModelConfig.parse({ classifier_config: config, names, model }),
      recipe: { ...recipe, data: withoutPlaces(data), model: undefined },
      data: await fingerprint(dataset),
    },
    resume,
    start,
  })

  const { train, heldOut } = splitDataset(dataset, { share: data.held_out })
  const tests = heldOut.length > 0 ? heldOut : train
  const length = shape[0] * shape[1] * shape[2]
  const { timesteps } = model.diffusion
  const bars = modelSchedule(model.diffusion).alphasCumprod
  // Only the latents, noise and times of a diffusion model's inputs are wanted: its loss has no part in this.
  const loss = diffusionRecipe.shape.loss.parse({})
  const latentsOf = diffusionInputs({ config: modelConfig.parse(model), latents, loss })
  const inputsOf = async (draws: Parameters<typeof latentsOf>[0], chance: DiffusionChance): Promise<HostTensors> => {
    const { x0, noise, t } = await latentsOf(draws, chance)
    const level = (of: (bar: number) => number) => hostTensor(Float32Array.from(chance.times, t => of(bars[t]!)))
    return {
      x0: x0!,
      noise: noise!,
      t: t!,
      alpha: level(Math.sqrt),
      sigma: level(bar => Math.sqrt(1 - bar)),
      labels: hostIntegers(draws.map(({ index }) => names.indexOf(dataset.pictures[index]!.label!))),
    }
  }
  const batch = Math.min(training.batch, tests.length)
  const measure = await learner.state.compile(classifierProgram(config, batch, shape), { use: learner.use })

  /** Loss and accuracy of held-out pictures, all at one time. */
  async function heldOutAt(time: number): Promise<{ loss: number; accuracy: number }> {
    const groups = Math.floor(tests.length / batch)
    let [loss, accuracy] = [0, 0]
    for (let group = 0; group < groups; group++) {
      const draws = fixedDraws(tests.slice(group * batch, (group + 1) * batch))
      const noise = streamOf(training.seed, 'held-out', group).randn(batch * length)
      const outputs = await measure(await inputsOf(draws, { noise, times: new Array<number>(batch).fill(time) }))
      loss += Number(outputs.loss!.data[0]) / groups
      accuracy += Number(outputs.accuracy!.data[0]) / groups
    }
    return { loss, accuracy }
  }
  const overTimes = async () => {
    const all = []
    for (let i = 0; i < bins; i++) all.push(await heldOutAt(Math.floor(((i + 0.5) / bins) * timesteps)))
    return all
  }
  const task: Task = {
    async *batches(first, from) {
      const begin = from && 'shuffle' in from ? from : streamOf(training.seed, 'data', 0)
      const mine = shareOfDraws(drawPictures(train, begin), processes)
      for (let index = first; ; index++) {
        const { batch, seed } = training
        const chance = {
          noise: shareOf(processes, batch * length, count => streamOf(seed, 'noise', index).randn(count)),
          times: shareOf(processes, batch, count => streamOf(seed, 'time', index).randint(0, timesteps, count)),
          posterior: shareOf(processes, batch * length, count => streamOf(seed, 'posterior', index).randn(count)),
        }
        yield { inputs: await inputsOf(mine.next(batch), chance), data: mine.state() }
      }
    },
    async evaluate() {
      const all = await overTimes()
      const average = (of: (each: (typeof all)[number]) => number) =>
        all.reduce((sum, each) => sum + of(each), 0) / bins
      return { loss: average(({ loss }) => loss), accuracy: average(({ accuracy }) => accuracy) }
    },
    picture: async () => accuracyBars(await overTimes()),
  }
  yield* fit(task, learner, { settings: training, processes, signal })
}

/** Times at which held-out pictures are measured. */
const bins = 10

/**
 * Cross-entropy of noisy latents' classes and the share that is right, as a program of clean latents `x0` and `noise`
 * [batch, c, h, w], times `t`, `labels` i64 [batch], and variance-preserving levels `alpha` and `sigma` [batch].
 */
function classifierProgram(config: ClassifierConfig, batch: number, shape: readonly [number, number, number]): Program {
  const images = f32(batch, ...shape)
  const level = f32(batch)
  const specs = { x0: images, noise: images, t: i64(batch), alpha: level, sigma: level, labels: i64(batch) }
  return trace(specs, (at, { x0, noise, t, alpha, sigma, labels }) => {
    const over = (values: typeof alpha) => reshape(values, [batch, 1, 1, 1])
    const x = add(mul(over(alpha), x0), mul(over(sigma), noise))
    const logits = noisyClassifier(at('classifier'), config, x, t)
    const right = oneHot(labels, config.encoder.out_channels)
    const loss = neg(mean(sum(mul(logSoftmax(logits, { axis: 1 }), right), { axes: 1 })))
    return { loss, accuracy: mean(cast(equal(argmax(logits, { axis: 1 }), labels), 'f32')) }
  })
}

function classesOf({ folder, labels, pictures }: Dataset, { encoder }: ClassifierConfig): string[] {
  const without = pictures.filter(({ label }) => label === undefined)
  if (labels.length < 2 || without.length > 0) {
    const found =
      labels.length < 2
        ? `has ${labels.length} classes`
        : `has ${without.length} pictures without a class, ${without[0]!.file} the first`
    throw new FileError(
      folder,
      `${found}; wanted is a folder for each class, or "class" in each line of captions.jsonl`,
    )
  }
  if (encoder.out_channels !== labels.length) {
    throw new LatentkitError(
      `classifier_config.encoder.out_channels is ${encoder.out_channels}, the pictures are of ${labels.length} classes: ${labels.slice(0, 20).join(', ')}`,
    )
  }
  return [...labels]
}

function checkSize({ encoder }: ClassifierConfig, [channels, height]: readonly [number, number, number]): void {
  if (encoder.in_channels === channels && encoder.image_size === height) return
  throw new LatentkitError(
    `classifier_config.encoder is for ${encoder.in_channels}x${encoder.image_size}x${encoder.image_size} latents; those of the model are ${channels}x${height}x${height}`,
  )
}

/** Accuracies from the cleanest time to the noisiest, as bars. */
function accuracyBars(measured: readonly { accuracy: number }[]): Image {
  const [bar, height] = [16, 100]
  const width = measured.length * bar
  const data = new Uint8Array(width * height * 3).fill(255)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const { accuracy } = measured[Math.floor(x / bar)]!
      if (x % bar !== 0 && y >= height * (1 - accuracy)) data.fill(70, (y * width + x) * 3, (y * width + x) * 3 + 3)
    }
  }
  return { data, width, height, channels: 3 }
}
