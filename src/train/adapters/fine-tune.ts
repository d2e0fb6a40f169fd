import { type ConditionsReader, sightsOf } from '../../conditioning/index.js'
import { type Dataset, fingerprint, type Source } from '../../data/index.js'
import { factorOf, type ModelConfig } from '../../pipelines/model-config.js'
import { version } from '../../platform/version.js'
import type { HostTensors } from '../../runtime/index.js'
import type { Program } from '../../tensor/program.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import type { TensorToWrite } from '../../weights/safetensors.js'
import { openDataSource, viewingOf, withoutPlaces } from '../data-settings.js'
import type { DiffusionSource } from '../diffusion/batches.js'
import { conditionBatches } from '../diffusion/condition-batches.js'
import { type DiffusionShapes, diffusionProgram } from '../diffusion/programs.js'
import { diffusionRecipe } from '../diffusion/recipe.js'
import { checkBuckets, diffusionTask } from '../diffusion/train-diffusion.js'
import type { TrainEvent } from '../events.js'
import type { TrainOptions } from '../first-stage/train-autoencoder.js'
import { fit, type Task } from '../fit.js'
import type { Latents } from '../latents/contract.js'
import { encodeSource } from '../latents/latents.js'
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
  /** The pictures with what belongs to them; as the recipe's data have them by default. */
  readonly pictures?: (source: Source) => Promise<Source>
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
  /** Pictures with the sentences to train them by, if those are not their own. */
  sourceOf(pictures: Source, captions: readonly string[] | undefined): AsyncGenerator<TrainEvent, DiffusionSource>
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

  const sourceOf: Tools['sourceOf'] = async function* (pictures, captions) {
    // One process computes latents for all that share its disk.
    if (processes.rank > 0) await processes.barrier()
    const encoded = yield* encodeSource({
      device,
      source: pictures,
      checkpoint: base,
      config,
      ...viewingOf(data),
      sights: sightsOf(config.conditioning),
      signal,
      ...(latentFolder !== undefined && { folder: latentFolder }),
    })
    opened.push(encoded)
    if (processes.rank === 0) await processes.barrier()
    const latents = { ...encoded, dataset: captioned(encoded.dataset, captions) }
    return { config, latents, conditions: conditionBatches(config, reader, latents), loss }
  }

  checkBuckets(config, data)
  const given = await openDataSource(data, signal)
  const pictures = (await method.pictures?.(given)) ?? given
  const source = yield* sourceOf(pictures, recipe.captions)
  const batch = training.batch + (method.besides ?? 0)
  const programOf = (shapes: DiffusionShapes) => adapt(diffusionProgram(config, shapes, loss))
  const programFor = ({ x0 }: HostTensors) => {
    const [batch, ...latents] = x0!.shape as unknown as [number, number, number, number]
    return programOf({ batch, latents })
  }
  const frozen = new Map([...base.weights].filter(([name]) => !trains(name)))
  const whole = frozen.size < base.weights.size
  await using learner = await openLearner({
    device,
    program: programOf({ batch, latents: source.latents.shape }),
    programFor: data.buckets && programFor,
    frozen,
    settings: training,
    path,
    info: {
      ...base.info,
      library: version,
      recipe: { ...recipe, base: undefined, data: withoutPlaces(data) },
      data: await fingerprint(source.latents.dataset),
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
  const own = await diffusionTask({ ...recipe, loss }, { source, reader }, evaluated, frozen, processes)
  const batches = method.batches ? yield* method.batches(own.batches, { sourceOf }) : own.batches
  for await (const event of fit({ ...own, batches, skipped: pictures.skipped }, learner, {
    settings: training,
    processes,
    signal,
  })) {
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
const captioned = (dataset: Dataset, captions: readonly string[] | undefined): Dataset => ({
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
