import type { ConditionsReader } from '../../conditioning/index.js'
import { type Dataset, fingerprint, folderSource } from '../../data/index.js'
import { factorOf, type ModelConfig } from '../../pipelines/model-config.js'
import { version } from '../../platform/version.js'
import type { Program } from '../../tensor/program.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import type { TensorToWrite } from '../../weights/safetensors.js'
import { openData, withoutPlaces } from '../data-settings.js'
import type { DiffusionSource } from '../diffusion/batches.js'
import { conditionBatches } from '../diffusion/condition-batches.js'
import { diffusionProgram } from '../diffusion/programs.js'
import { diffusionRecipe } from '../diffusion/recipe.js'
import { diffusionTask } from '../diffusion/train-diffusion.js'
import type { TrainEvent } from '../events.js'
import type { TrainOptions } from '../first-stage/train-autoencoder.js'
import { fit, type Task } from '../fit.js'
import { encodeSource, type Latents } from '../latents/latents.js'
import { openLearner } from '../learner.js'
import type { SharedRecipe } from './recipes.js'

/** What fine-tuning takes. */
export interface FineTuneOptions<Recipe> extends Omit<TrainOptions<Recipe>, 'start'> {
  /** The model that is fine-tuned. */
  readonly base: Checkpoint
  /** Where latents are kept; latentkit's folder in the user's cache by default. */
  readonly latentFolder?: string
}

/** What sets one way of fine-tuning apart. */
export interface Method {
  /** Of the networks that are trained on. */
  readonly config: ModelConfig
  readonly reader: ConditionsReader
  /** Puts what is trained into a program of the base; nothing by default. */
  readonly adapt?: (program: Program) => Program
  /** Weights of the base that are trained themselves; none by default. */
  readonly trains?: (weight: string) => boolean
  /** Where trained parameters start that neither are the base's nor drawn. */
  readonly begin?: ReadonlyMap<string, Float32Array>
  /** What belongs to the trained weights in the checkpoint. */
  readonly also?: ReadonlyMap<string, TensorToWrite>
  /** Samples that a batch has besides the recipe's. */
  readonly besides?: number
  /** Batches other than the recipe's alone. */
  readonly batches?: (own: Task['batches'], tools: Tools) => AsyncGenerator<TrainEvent, Task['batches']>
  /** Writes what other tools read, after each checkpoint; returns what could not be. */
  readonly publish: (values: ReadonlyMap<string, Float32Array>, step: number) => Promise<string | undefined>
}

/** With which a method makes batches of its own. */
export interface Tools {
  sourceOf(dataset: Dataset): AsyncGenerator<TrainEvent, DiffusionSource>
}

/**
 * Trains something beside a frozen model, or parts of it, on its own objective; ends with a checkpoint of what was trained.
 *
 * Throws FileError for pictures and checkpoints that cannot be used, DivergedError where the loss is no number any more.
 */
export async function* fineTune(options: FineTuneOptions<SharedRecipe>, method: Method): AsyncGenerator<TrainEvent> {
  const { device, recipe, path, resume, signal, base, latentFolder } = options
  const { data, training } = recipe
  const { processes } = device
  const { reader, adapt = program => program, trains = () => false } = method
  const config = ofSize(method.config, data.size)
  const loss = diffusionRecipe.shape.loss.parse(recipe.loss)

  const opened: Latents[] = []
  await using _ = {
    async [Symbol.asyncDispose]() {
      for (const latents of opened) await latents.close()
    },
  }

  async function* sourceOf(dataset: Dataset): AsyncGenerator<TrainEvent, DiffusionSource> {
    // One process computes latents for all that share its disk.
    if (processes.rank > 0) await processes.barrier()
    const latents: Latents = yield* encodeSource({
      device,
      source: folderSource(dataset),
      checkpoint: base,
      config,
      size: data.size,
      flip: data.flip,
      signal,
      ...(latentFolder !== undefined && { folder: latentFolder }),
    })
    opened.push(latents)
    if (processes.rank === 0) await processes.barrier()
    return { config, latents, conditions: conditionBatches(config, reader, dataset, data), loss }
  }

  const dataset = captioned(await openData(data, signal), recipe.captions)
  const source = yield* sourceOf(dataset)
  const batch = training.batch + (method.besides ?? 0)
  const program = adapt(diffusionProgram(config, { batch, latents: source.latents.shape }, loss))
  const frozen = new Map([...base.weights].filter(([name]) => !trains(name)))
  const whole = frozen.size < base.weights.size
  await using learner = await openLearner({
    device,
    program,
    frozen,
    settings: training,
    path,
    info: {
      ...base.info,
      library: version,
      recipe: { ...recipe, base: undefined, data: withoutPlaces(data) },
      data: await fingerprint(dataset),
    },
    // What changes the base itself leaves as a whole model, an adapter alone.
    also: whole ? copied(base, frozen.keys()) : (method.also ?? new Map()),
    resume,
    start: whole ? base : undefined,
    begin: method.begin,
  })
  // Whatever is evaluated is the base with what is trained in it.
  const compile: typeof learner.state.compile = (program, use) => learner.state.compile(adapt(program), use)
  const evaluated = { use: learner.use, state: { compile } }
  const own = await diffusionTask({ ...recipe, loss }, { source, dataset, reader }, evaluated, frozen, processes)
  const batches = method.batches ? yield* method.batches(own.batches, { sourceOf }) : own.batches
  for await (const event of fit({ ...own, batches }, learner, { settings: training, processes, signal })) {
    if (event.type === 'checkpoint') {
      const { step, total } = event
      const message = await method.publish(await learner.state.read(learner.use), step)
      if (message !== undefined) yield { type: 'warning', step, total, message }
    }
    yield event
  }
}

/** The model as it paints pictures of the size that is trained on. */
const ofSize = (config: ModelConfig, size: number): ModelConfig => ({
  ...config,
  unet_config: { ...config.unet_config!, image_size: size / factorOf(config) },
})

/** All pictures, with other sentences if any are given: so few as are fine-tuned on leave none to hold out. */
export const captioned = (dataset: Dataset, captions: readonly string[] | undefined): Dataset => ({
  ...dataset,
  pictures: dataset.pictures.map(picture => ({ ...picture, split: 'train', ...(captions && { captions }) })),
})

function copied(from: Checkpoint, names: Iterable<string>): Map<string, TensorToWrite> {
  const tensors = new Map<string, TensorToWrite>()
  for (const name of names) {
    const { dtype, shape } = from.weights.get(name)!
    tensors.set(name, { dtype, shape, bytes: async () => (await from.read(name)).bytes })
  }
  return tensors
}
