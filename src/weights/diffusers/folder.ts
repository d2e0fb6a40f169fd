import { z } from 'zod'
import { fileInfo, joinPath, readText } from '#platform'
import { FileError } from '../../platform/errors.js'
import { openWeights } from '../open-weights.js'
import type { Rename } from '../rename.js'
import { readStored, storedTensors } from '../stored.js'
import { quoted, type StoredTensor, type TensorFile, wantedTensor } from '../tensor-file.js'
import { joinedAttention } from './attention-rows.js'
import { type BertWords, bertFromDiffusers, bertRenames } from './bert.js'
import { readJson, weightsIn } from './files.js'
import { firstStageClasses, firstStageFromDiffusers } from './first-stage.js'
import { plainUnetFromDiffusers } from './plain-unet.js'
import { scheduleFromDiffusers } from './scheduler.js'
import { unetFromDiffusers } from './unet-config.js'
import { unetRenames } from './unet-names.js'

/** A folder of diffusers, read by the names of CompVis' and Stability's single files, and what its configurations say. */
export interface DiffusersFolder extends TensorFile<StoredTensor> {
  /** Class of the pipeline that the folder was written from, or of the first stage that is all it holds. */
  readonly pipeline: string
  /** Undefined in a folder of a first stage alone. */
  readonly unet: Readonly<Record<string, unknown>> | undefined
  readonly firstStage: Readonly<Record<string, unknown>>
  /** By which latents are multiplied, where it is said. */
  readonly scaleFactor: number | undefined
  /** The noise schedule; undefined without a scheduler. */
  readonly diffusion: Readonly<Record<string, unknown>> | undefined
  /** What their configurations say of CLIP's text encoders, in their order. */
  readonly towers: readonly TowerConfig[]
  /** The text encoder of latent diffusion. */
  readonly bert: BertWords | undefined
  /** CLIP's merges, where the folder has a tokenizer. */
  readonly merges: string | undefined
}

const towerSchema = z.object({
  hidden_act: z.enum(['quick_gelu', 'gelu']).default('quick_gelu'),
  num_attention_heads: z.int().positive(),
  layer_norm_eps: z.number().positive().default(1e-5),
})
/** What of a text encoder's config.json cannot be told from its tensors. */
export type TowerConfig = z.output<typeof towerSchema>

const component = z.tuple([z.string().nullable(), z.string().nullable()])
const indexSchema = z.looseObject({
  _class_name: z.string(),
  unet: component,
  vae: component.optional(),
  vqvae: component.optional(),
})
const unetClasses = ['UNet2DConditionModel', 'UNet2DModel'] as const

/** The file that makes a folder one of diffusers. */
export const diffusersIndex = 'model_index.json'

/** Whether a path is a folder that diffusers wrote: of a pipeline, or of a first stage alone. */
export const isDiffusersFolder = async (path: string): Promise<boolean> =>
  (await isFile(joinPath(path, diffusersIndex))) || (await isFile(joinPath(path, 'config.json')))

const isFile = async (path: string) => (await fileInfo(path))?.kind === 'file'

/**
 * Opens a folder of diffusers: a pipeline of Stable Diffusion 1, 2 or XL or of latent diffusion (a UNet2DConditionModel or
 * UNet2DModel, an AutoencoderKL, VQModel or AutoencoderTiny, CLIP's text encoders or LDMBertModel), or one of these first
 * stages alone. Weights may be .safetensors or .bin, in several files too, and of any variant; of several full precision is
 * taken. Other components are left alone.
 *
 * Throws FileError naming the file where one is missing, damaged or of another kind.
 *
 * @example
 * const folder = await openDiffusersFolder('stable-diffusion-v1-5')
 */
export async function openDiffusersFolder(folder: string): Promise<DiffusersFolder> {
  const alone = !(await isFile(joinPath(folder, diffusersIndex)))
  const index: Index = alone ? await stageAlone(folder) : await readIndex(folder)
  const has = (name: string) => Array.isArray(index[name]) && index[name][0] !== null
  const json = (path: string) => readJson(joinPath(folder, path))
  const opened: TensorFile[] = []
  const tensors = new Map<string, StoredTensor>()
  const add = async (part: string, place: string, rename: Rename, join = (own: Tensors): Tensors => own) => {
    const file = await openWeights(await weightsIn(joinPath(folder, part)))
    opened.push(file)
    const own = new Map<string, StoredTensor>()
    for (const [name, tensor] of storedTensors(file)) {
      const to = rename(name, tensor.shape)
      if (to) own.set(to.name, { ...tensor, shape: to.shape })
      // What has no place keeps a name that says where it is from.
      else tensors.set(part === '' ? name : `${part}.${name}`, tensor)
    }
    for (const [name, tensor] of join(own)) tensors.set(place + name, tensor)
  }
  const close = async () => {
    for (const file of opened) await file.close()
  }
  try {
    const stagePart = alone ? '' : index.vae ? 'vae' : 'vqvae'
    const stagePath = joinPath(stagePart, 'config.json')
    const stage = firstStageFromDiffusers(await json(stagePath), joinPath(folder, stagePath))
    await add(stagePart, 'first_stage_model.', stage.renames.toCompvis)
    const unet = alone ? undefined : unetOf(await json('unet/config.json'), joinPath(folder, 'unet/config.json'))
    if (unet) await add('unet', 'model.diffusion_model.', unet.rename, unet.join)
    const encoders = ['text_encoder', 'text_encoder_2'].filter(has)
    const towers: TowerConfig[] = []
    for (const [i, part] of encoders.entries()) {
      towers.push(await towerConfig(joinPath(folder, part, 'config.json')))
      const several = unet?.words.num_classes === 'sequential'
      await add(part, several ? `conditioner.embedders.${i}.transformer.` : 'cond_stage_model.transformer.', same)
    }
    const bert = has('bert')
      ? bertFromDiffusers(await json('bert/config.json'), joinPath(folder, 'bert/config.json'))
      : undefined
    if (bert) await add('bert', 'cond_stage_model.', bertRenames(bert).toCompvis)
    const merges = joinPath(folder, has('tokenizer') ? 'tokenizer' : 'tokenizer_2', 'merges.txt')
    return {
      name: folder,
      format: `folder of diffusers, ${[...new Set(opened.map(({ format }) => format))].join(', ')}`,
      metadata: new Map(),
      tensors,
      read: name => readStored(wantedTensor(folder, tensors, name)),
      close,
      pipeline: index._class_name,
      unet: unet?.words,
      firstStage: stage.words,
      // This pipeline decodes without scaling: pipeline_latent_diffusion_superresolution.py.
      scaleFactor: index._class_name === 'LDMSuperResolutionPipeline' ? 1 : stage.scaleFactor,
      diffusion: has('scheduler')
        ? scheduleFromDiffusers(
            await json('scheduler/scheduler_config.json'),
            joinPath(folder, 'scheduler/scheduler_config.json'),
          )
        : undefined,
      towers,
      bert,
      merges: (await fileInfo(merges)) && (await readText(merges)),
    }
  } catch (error) {
    await close()
    throw error
  }
}

type Tensors = ReadonlyMap<string, StoredTensor>
const same: Rename = (name, shape) => ({ name, shape })

/** A UNet of either class: with transformers, or with plain attention. */
function unetOf(json: unknown, file: string) {
  if ((json as { _class_name?: unknown } | null)?._class_name === 'UNet2DModel') {
    const words = plainUnetFromDiffusers(json, file)
    const join = (own: Tensors) => joinedAttention(own, words)
    return { words: { ...words }, rename: unetRenames(words).toCompvis, join }
  }
  const { words, label } = unetFromDiffusers(json, file)
  return { words: { ...words }, rename: unetRenames(words, label).toCompvis }
}

type Index = Pick<z.output<typeof indexSchema>, '_class_name' | 'vae'> & Readonly<Record<string, unknown>>

async function readIndex(folder: string): Promise<Index> {
  const path = joinPath(folder, diffusersIndex)
  const json = await readJson(path)
  const parsed = indexSchema.safeParse(json)
  const { _class_name: name, unet: any } = (json ?? {}) as { _class_name?: unknown; unet?: unknown }
  if (typeof name === 'string' && any === undefined)
    throw new FileError(
      path,
      `is of a ${name}, which has no unet; readable are pipelines of Stable Diffusion 1, 2 and XL and of latent diffusion`,
    )
  if (!parsed.success)
    throw new FileError(
      path,
      `describes no pipeline with a unet and a vae, of which latentkit reads those of Stable Diffusion and latent diffusion: ${z.prettifyError(parsed.error)}`,
    )
  const { unet, vae, vqvae } = parsed.data
  for (const [part, found, classes] of [
    ['unet', unet, unetClasses],
    [vae ? 'vae' : 'vqvae', vae ?? vqvae, firstStageClasses],
  ] as const) {
    const name = found?.[1] ?? 'none'
    if (!classes.some(known => known === name))
      throw new FileError(path, `has a ${part} of class ${quoted(name)}; readable is ${classes.join(', ')}`)
  }
  return parsed.data
}

/** A folder with a configuration and weights, as each component of a pipeline has one. */
async function stageAlone(folder: string): Promise<Index> {
  const path = joinPath(folder, 'config.json')
  const found = ((await readJson(path)) as { _class_name?: unknown } | null)?._class_name
  if (firstStageClasses.some(name => name === found)) return { _class_name: String(found) }
  const what = typeof found === 'string' ? `one network, of class ${quoted(found)}` : 'no pipeline of diffusers'
  throw new FileError(
    folder,
    `holds ${what}; wanted is the folder with ${diffusersIndex}, or one of ${firstStageClasses.join(', ')}`,
  )
}

async function towerConfig(path: string): Promise<TowerConfig> {
  const parsed = towerSchema.safeParse(await readJson(path))
  if (parsed.success) return parsed.data
  throw new FileError(path, `cannot be used as the config of a text encoder: ${z.prettifyError(parsed.error)}`)
}
