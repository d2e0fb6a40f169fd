import { z } from 'zod'
import { fileInfo, joinPath, listFolder, openSource, readText } from '#platform'
import { FileError } from '../../platform/errors.js'
import { openWeights } from '../open-weights.js'
import type { Rename } from '../rename.js'
import { readStored, storedTensors } from '../stored.js'
import { quoted, type StoredTensor, type TensorFile, wantedTensor } from '../tensor-file.js'
import { autoencoderFromDiffusers, autoencoderRenames } from './autoencoder.js'
import { scheduleFromDiffusers } from './scheduler.js'
import { unetFromDiffusers } from './unet-config.js'
import { unetRenames } from './unet-names.js'

/** A folder of diffusers, read by the names of CompVis' and Stability's single files, and what its configurations say. */
export interface DiffusersFolder extends TensorFile<StoredTensor> {
  /** Class of the pipeline that the folder was written from. */
  readonly pipeline: string
  readonly unet: Readonly<Record<string, unknown>>
  readonly firstStage: Readonly<Record<string, unknown>>
  readonly scaleFactor: number
  /** The noise schedule; undefined without a scheduler. */
  readonly diffusion: Readonly<Record<string, unknown>> | undefined
  /** What their configurations say of the text encoders, in their order. */
  readonly towers: readonly TowerConfig[]
  /** CLIP's merges, where the folder has a tokenizer. */
  readonly merges: string | undefined
}

const towerSchema = z.object({
  hidden_act: z.enum(['quick_gelu', 'gelu']).default('quick_gelu'),
  num_attention_heads: z.int().positive(),
  layer_norm_eps: z.number().positive().default(1e-5),
})
export type TowerConfig = z.output<typeof towerSchema>

const component = z.tuple([z.string().nullable(), z.string().nullable()])
const indexSchema = z.looseObject({ _class_name: z.string(), unet: component, vae: component })

/** The file that makes a folder one of diffusers. */
export const diffusersIndex = 'model_index.json'

/** Whether a path is a folder that diffusers wrote. */
export const isDiffusersFolder = async (path: string): Promise<boolean> =>
  (await fileInfo(joinPath(path, diffusersIndex)))?.kind === 'file'

/**
 * Opens a folder of diffusers' pipelines over a UNet2DConditionModel, an AutoencoderKL and CLIP's text encoders: Stable
 * Diffusion 1, 2 and XL. Weights may be .safetensors, in several files too, or .bin, and of any variant; of several full
 * precision is taken. Other components are left alone.
 *
 * Throws FileError naming the file where one is missing, damaged or of another kind.
 *
 * @example
 * const folder = await openDiffusersFolder('stable-diffusion-v1-5')
 */
export async function openDiffusersFolder(folder: string): Promise<DiffusersFolder> {
  const index = await readIndex(folder)
  const has = (name: string) => Array.isArray(index[name]) && index[name][0] !== null
  const json = (path: string) => readJson(joinPath(folder, path))
  const opened: TensorFile[] = []
  const tensors = new Map<string, StoredTensor>()
  const add = async (part: string, place: string, rename: Rename) => {
    const file = await openWeights(await weightsIn(joinPath(folder, part)))
    opened.push(file)
    for (const [name, tensor] of storedTensors(file)) {
      const to = rename(name, tensor.shape)
      // What has no place keeps a name that says where it is from.
      tensors.set(to ? `${place}${to.name}` : `${part}.${name}`, to ? { ...tensor, shape: to.shape } : tensor)
    }
  }
  const close = async () => {
    for (const file of opened) await file.close()
  }
  try {
    const unet = unetFromDiffusers(await json('unet/config.json'), joinPath(folder, 'unet/config.json'))
    const stage = autoencoderFromDiffusers(await json('vae/config.json'), joinPath(folder, 'vae/config.json'))
    await add('unet', 'model.diffusion_model.', unetRenames(unet.words, unet.label).toCompvis)
    await add('vae', 'first_stage_model.', autoencoderRenames(stage.words.ddconfig).toCompvis)
    const encoders = ['text_encoder', 'text_encoder_2'].filter(has)
    const towers: TowerConfig[] = []
    for (const [i, part] of encoders.entries()) {
      towers.push(await towerConfig(joinPath(folder, part, 'config.json')))
      const several = unet.words.num_classes === 'sequential'
      await add(part, several ? `conditioner.embedders.${i}.transformer.` : 'cond_stage_model.transformer.', same)
    }
    const merges = joinPath(folder, has('tokenizer') ? 'tokenizer' : 'tokenizer_2', 'merges.txt')
    return {
      name: folder,
      format: `folder of diffusers, ${[...new Set(opened.map(({ format }) => format))].join(', ')}`,
      metadata: new Map(),
      tensors,
      read: name => readStored(wantedTensor(folder, tensors, name)),
      close,
      pipeline: index._class_name,
      unet: { ...unet.words },
      firstStage: { ...stage.words },
      scaleFactor: stage.scaleFactor,
      diffusion: has('scheduler')
        ? scheduleFromDiffusers(
            await json('scheduler/scheduler_config.json'),
            joinPath(folder, 'scheduler/scheduler_config.json'),
          )
        : undefined,
      towers,
      merges: (await fileInfo(merges)) && (await readText(merges)),
    }
  } catch (error) {
    await close()
    throw error
  }
}

const same: Rename = (name, shape) => ({ name, shape })

async function readIndex(folder: string): Promise<z.output<typeof indexSchema>> {
  const path = joinPath(folder, diffusersIndex)
  const parsed = indexSchema.safeParse(await readJson(path))
  if (!parsed.success)
    throw new FileError(
      path,
      `describes no pipeline with a unet and a vae, of which latentkit reads Stable Diffusion's: ${z.prettifyError(parsed.error)}`,
    )
  const wanted = { unet: 'UNet2DConditionModel', vae: 'AutoencoderKL' } as const
  for (const [part, name] of Object.entries(wanted) as [keyof typeof wanted, string][]) {
    const found = parsed.data[part][1]
    if (found !== name)
      throw new FileError(path, `has a ${part} of class ${quoted(String(found))}; readable is ${name}`)
  }
  return parsed.data
}

async function towerConfig(path: string): Promise<TowerConfig> {
  const parsed = towerSchema.safeParse(await readJson(path))
  if (parsed.success) return parsed.data
  throw new FileError(path, `cannot be used as the config of a text encoder: ${z.prettifyError(parsed.error)}`)
}

async function readJson(path: string): Promise<unknown> {
  const largest = 1 << 20
  const source = await openSource(path)
  const { size } = source
  await source.close()
  if (size > largest) throw new FileError(path, `has ${size} bytes, too many for a configuration`)
  try {
    return JSON.parse(await readText(path))
  } catch (cause) {
    if (cause instanceof FileError) throw cause
    throw new FileError(path, `is no JSON: ${(cause as Error).message}`, { cause })
  }
}

/** The best of what weights a component's folder has: safetensors before pickles, full precision before variants. */
async function weightsIn(folder: string): Promise<string> {
  const found = await fileInfo(folder)
  const names = found?.kind === 'folder' ? (await listFolder(folder)).map(({ name }) => name) : []
  for (const pattern of weightFiles) {
    const name = names.find(name => pattern.test(name))
    if (name !== undefined) return joinPath(folder, name)
  }
  throw new FileError(
    folder,
    'holds no weights: wanted is diffusion_pytorch_model.safetensors, model.safetensors or the like',
  )
}

const base = '(diffusion_pytorch_model|pytorch_model|model)'
const weightFiles = [
  `${base}\\.safetensors`,
  `${base}\\.safetensors\\.index\\.json`,
  `${base}\\.(?!non_ema)\\w+\\.safetensors`,
  `${base}\\.safetensors\\.index\\.(?!non_ema)\\w+\\.json`,
  `${base}\\.bin`,
  `${base}\\.(?!non_ema)\\w+\\.bin`,
].map(pattern => new RegExp(`^${pattern}$`))
