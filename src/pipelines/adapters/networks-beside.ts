import { embedderScope } from '../../conditioning/index.js'
import { locate } from '../../hub/index.js'
import { FileError } from '../../platform/errors.js'
import type { SourceLike } from '../../platform/types.js'
import { controlPlaces } from '../../unet/control-net.js'
import { controlRenames } from '../../weights/diffusers/index.js'
import { openWeights } from '../../weights/open-weights.js'
import { renamedFile, underPrefix } from '../../weights/rename.js'
import { closingOnError, type TensorFile, type TensorInfo } from '../../weights/tensor-file.js'
import type { CheckpointModel } from '../loading/checkpoint-model.js'
import { factorOf, type ModelConfig, trainedSize } from '../model-config.js'
import { controlScope, pictureScope } from '../networks.js'
import { denoisingProgram } from '../programs.js'
import { type FileBeside, withFilesBeside } from './files-beside.js'
import { type ImagePromptFiles, numberedAttention, openImagePrompt } from './image-prompt-files.js'
import { type MapAdapterFile, openMapAdapter } from './map-adapter-file.js'

/** A file that changes a model, and how much; 1 if not given. */
export interface Weighed {
  readonly file: SourceLike
  readonly weight?: number | undefined
}

/** What adding networks takes beside the model. */
interface Adding {
  /** Sees to it that a file is closed with the model. */
  hold<T extends Pick<TensorFile, 'close'>>(file: T): T
  /** Tokens of the words that were added. */
  readonly counts: ReadonlyMap<string, number> | undefined
  /** Notes for the pictures' settings what was added, and how much of it. */
  note(label: string, file: { readonly name: string }, weight: number | string): void
}

/** The model with ControlNets, each of which follows a hint. */
export async function withControls(
  model: CheckpointModel,
  controls: readonly Weighed[],
  { hold, counts, note }: Adding,
) {
  if (controls.length === 0) return model
  const beside: FileBeside[] = []
  for (const [i, { file, weight = 1 }] of controls.entries()) {
    const opened = hold(await openControl(file, model.config))
    note('ControlNet', opened, weight)
    beside.push({ file: opened, prefix: `${controlScope(i)}.`, what: 'the ControlNet', unneeded: () => true })
  }
  const weights = controls.map(({ weight = 1 }) => weight)
  const places = controlPlaces(model.config.unet_config!)
  return withFilesBeside(model, conditionedBy(model.config, { control: { weights, places } }), beside, counts)
}

/** The model with T2I-adapters, each of which follows a map. */
export async function withMapAdapters(
  model: CheckpointModel,
  given: readonly Weighed[],
  { hold, counts, note }: Adding,
) {
  if (given.length === 0) return model
  const opened: MapAdapterFile[] = []
  for (const { file, weight = 1 } of given) {
    opened.push(await openMapAdapter(await locate(file), model.config))
    note('T2I-adapter', hold(opened.at(-1)!.file), weight)
  }
  const other = opened.find(({ config }) => config.xl !== opened[0]!.config.xl)
  if (other)
    throw new FileError(
      other.file.name,
      'adds its features at other places than the first T2I-adapter: use one of them',
    )
  const adapters = opened.map(({ config }, i) => ({ ...config, weight: given[i]!.weight ?? 1 }))
  const config = conditionedBy(model.config, { t2i: { adapters } })
  const { path } = embedderScope(config.conditioning, 't2i')!
  const beside = opened.map(({ file }, i) => ({ file, prefix: `${path}.${i}.`, what: 'the T2I-adapter' }))
  return withFilesBeside(model, config, beside, counts)
}

/** The model with an IP-adapter, which takes a picture as a prompt. */
export async function withImagePrompt(model: CheckpointModel, files: ImagePromptFiles, { hold, counts, note }: Adding) {
  const { file, encoder, weight = 1 } = files
  const opened = hold(await openImagePrompt({ file: await locate(file), encoder: await locate(encoder), weight }))
  note('IP-adapter', opened.projection, weight)
  const config = conditionedBy(model.config, { image_prompt: opened.config })
  const { path } = embedderScope(config.conditioning, 'image_prompt')!
  const size = { width: trainedSize(config), height: trainedSize(config) }
  const prefix = `${pictureScope}.`
  const keys = denoisingProgram(config, size).parameters.filter(({ name }) => name.startsWith(prefix))
  const what = 'the IP-adapter'
  const beside: FileBeside[] = [
    { file: opened.projection, prefix: `${path}.image_proj.`, what },
    { file: renamedFile(opened.attention, numberedAttention(keys, prefix), what), prefix, what },
    { file: opened.encoder, prefix: `${path}.image_encoder.`, what: 'the image encoder', unneeded: () => true },
  ]
  return withFilesBeside(model, config, beside, counts)
}

/** A configuration with one more condition. */
const conditionedBy = (config: ModelConfig, more: NonNullable<ModelConfig['conditioning']>): ModelConfig => ({
  ...config,
  conditioning: { ...config.conditioning, ...more },
})

/** A ControlNet's tensors by the original's names, whichever tool wrote them. */
async function openControl(from: SourceLike, { unet_config, ...config }: ModelConfig): Promise<TensorFile<TensorInfo>> {
  const file = await openWeights(await locate(from))
  return closingOnError(file, async () => {
    const own = underPrefix(file, 'control_model.')
    if (own.tensors.size > 0) return own
    if (!file.tensors.has('controlnet_cond_embedding.conv_in.weight'))
      throw new FileError(
        file.name,
        'is no ControlNet: it holds neither control_model.… nor diffusers\u2019 names of one',
      )
    const hintLayers = 2 + 2 * Math.log2(factorOf(config))
    return renamedFile(file, controlRenames(unet_config!, hintLayers).toCompvis, 'the ControlNet')
  })
}
