import { fileInfo, joinPath } from '#platform'
import { conditionsRoot } from '../../conditioning/index.js'
import { drawPictures, folderSource, openFolder, type Source } from '../../data/index.js'
import { checkpointModel } from '../../pipelines/loading/checkpoint-model.js'
import { Model } from '../../pipelines/model.js'
import { LatentkitError } from '../../platform/errors.js'
import { hostTensorOf } from '../../runtime/host-tensor.js'
import { type Device, type HostTensor, type HostTensors, hostTensor, openDevice } from '../../runtime/index.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import { diffusionBatches } from '../diffusion/batches.js'
import type { TrainEvent } from '../events.js'
import type { Batch, Task } from '../fit.js'
import { streamOf } from '../streams.js'
import { type FineTuneOptions, fineTune, type Tools } from './fine-tune.js'
import type { DreamboothRecipe } from './recipes.js'

type Prior = NonNullable<DreamboothRecipe['prior']>

/**
 * Teaches a model a subject from a few pictures by training the whole UNet (and the text encoder), with pictures of the
 * subject's class beside so that it keeps those (Ruiz et al. 2022, DreamBooth). Ends with a whole model.
 *
 * Throws as all training does.
 */
export async function* trainDreambooth(options: FineTuneOptions<DreamboothRecipe>): AsyncGenerator<TrainEvent> {
  const { base, recipe, device, signal } = options
  const { prior, training, text_encoder } = recipe
  if (prior && recipe.data.buckets)
    throw new LatentkitError(
      'Cannot train pictures in buckets together with those of their class, which are squares: leave out data.buckets or prior',
    )
  const { config, conditions } = checkpointModel(base)
  const trained = ['model.diffusion_model.', ...(text_encoder ? [`${conditionsRoot(config.conditioning)}.`] : [])]
  const classes = prior && (yield* classPictures(base, prior, device, signal))

  async function* batches(own: Task['batches'], { sourceOf }: Tools): AsyncGenerator<TrainEvent, Task['batches']> {
    const source = yield* sourceOf(classes!, [prior!.prompt])
    const { batch, seed } = training
    const all = source.latents.dataset.pictures.map((_, i) => i)
    return (first, from) => {
      // Where the class stands follows from the number of the batch: its pictures are drawn again from the start.
      const draws = drawPictures(all, streamOf(seed, 'class', 0))
      const { processes } = device
      draws.next(first * batch * processes.size)
      const theirs = diffusionBatches(source, draws, {
        first,
        batch,
        // Another seed, so that the class does not have the noise of the subject.
        seed: seed + 1,
        dropout: recipe.condition_dropout,
        place: processes,
      })
      return together(own(first, from), theirs, prior!.weight)
    }
  }

  yield* fineTune(options, {
    config,
    reader: conditions,
    trains: name => trained.some(prefix => name.startsWith(prefix)),
    publish: async () => undefined,
    ...(classes && { besides: training.batch, batches }),
  })
}

/** The pictures of the class, of which the model itself paints those that lack. */
async function* classPictures(
  base: Checkpoint,
  { folder, count, prompt, steps, guidance }: Prior,
  device: Device,
  signal: AbortSignal | undefined,
): AsyncGenerator<TrainEvent, Source> {
  const { processes } = device
  const there = (await fileInfo(folder)) === undefined ? 0 : (await openFolder(folder)).pictures.length
  if (processes.rank === 0 && there < count) {
    // The checkpoint is the caller's, but a model closes what it is made of.
    const borrowed = { ...base, close: async () => {} }
    await using model = new Model(checkpointModel(borrowed), await openDevice(device.name))
    const events = model.generate(prompt, { count: count - there, seed: there, steps, guidance, signal })
    for await (const event of events) {
      if (event.type !== 'image') continue
      await event.image.save(joinPath(folder, `class-${event.seed}.png`))
      yield { type: 'prepare', what: 'painting pictures of the class', step: event.index + 1, total: count - there }
    }
  }
  await processes.barrier()
  return folderSource(await openFolder(folder))
}

/** Batches of the subject and of its class in one, so that the loss is the mean of the one plus a weight times that of the other. */
async function* together(
  subject: AsyncGenerator<Batch, unknown>,
  others: AsyncGenerator<Batch>,
  weight: number,
): AsyncGenerator<Batch> {
  for await (const { inputs, data } of subject as AsyncGenerator<Batch>) {
    const { value } = await others.next()
    yield { inputs: joined(weighed(inputs, 2), weighed((value as Batch).inputs, 2 * weight)), data }
  }
}

/** The mean over a batch of both halves halves each: hence the factors of 2 above. */
const weighed = ({ weights, ...inputs }: HostTensors, factor: number): HostTensors => ({
  ...inputs,
  weights: hostTensor(
    (weights!.data as Float32Array).map(w => w * factor),
    weights!.shape,
  ),
})

const joined = (first: HostTensors, second: HostTensors): HostTensors =>
  Object.fromEntries(Object.entries(first).map(([name, tensor]) => [name, concatenated(tensor, second[name]!)]))

/** Along the batch. */
function concatenated(a: HostTensor, b: HostTensor): HostTensor {
  const data = new (a.data.constructor as new (length: number) => typeof a.data)(a.data.length + b.data.length)
  data.set(a.data as never)
  data.set(b.data as never, a.data.length)
  return hostTensorOf(a.dtype, [a.shape[0]! + b.shape[0]!, ...a.shape.slice(1)], data)
}
