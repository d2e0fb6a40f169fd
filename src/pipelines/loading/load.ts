import type { SourceLike } from '../../platform/types.js'
import { type DeviceName, openDevice } from '../../runtime/index.js'
import { closingOnError } from '../../weights/tensor-file.js'
import { type Adaptation, adaptModel } from '../adapters/adapted-model.js'
import { type MemoryOptions, Model } from '../model.js'
import { type CheckpointModel, checkpointModel } from './checkpoint-model.js'
import { type ModelFileOptions, openModelFile } from './model-file.js'

/** Where a model runs, in how much memory, and what is added to it. */
export interface LoadOptions extends Adaptation, ModelFileOptions, MemoryOptions {
  /** `cpu` by default, in a browser by WebAssembly; `auto` takes a graphics card where one is faster. */
  readonly device?: DeviceName | 'auto' | undefined
  /** Threads of the processor; all by default. */
  readonly threads?: number | undefined
}

/** The model that comes with latentkit: emoji of 128x128 pixels from a sentence. */
// Bundlers look for exactly this expression, and copy the file.
export const bundledModel = (): URL => new URL('../../../models/emoji.safetensors', import.meta.url)

/**
 * Loads a model: a checkpoint of latentkit, of Stable Diffusion or of latent diffusion (.safetensors, .ckpt, GGUF), or a
 * folder of diffusers, as a path, a URL, a Blob, bytes, or the name of a model that `pull` fetched; by default the emoji
 * model that comes with latentkit. Nothing is fetched but what is named.
 *
 * @throws FileError where the file is missing, damaged, or of another architecture; LatentkitError where the device is absent.
 * @example
 * await using model = await load('model.safetensors')
 * await (await model.generate('red heart', { seed: 7 }).image()).save('heart.png')
 */
export async function load(from: SourceLike = bundledModel(), options: LoadOptions = {}): Promise<Model> {
  const { device: name = 'cpu', threads } = options
  const [device, model] = await Promise.allSettled([
    openDevice(name, threads === undefined ? {} : { threads }),
    openModel(from, options),
  ])
  if (device.status === 'fulfilled' && model.status === 'fulfilled')
    return new Model(model.value, device.value, options)
  if (device.status === 'fulfilled') await device.value.dispose()
  if (model.status === 'fulfilled') await model.value.checkpoint.close()
  throw model.status === 'rejected' ? model.reason : (device as PromiseRejectedResult).reason
}

async function openModel(from: SourceLike, options: LoadOptions): Promise<CheckpointModel> {
  const checkpoint = await openModelFile(from, options)
  const model = await closingOnError(checkpoint, async () => checkpointModel(checkpoint))
  return adaptModel(model, options)
}
