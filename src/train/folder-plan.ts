import { fileInfo, walkFiles } from '#platform'
import { type FolderReport, inspectFolder, inspectSource } from '../data/index.js'
import { imageExtensions } from '../image/index.js'
import { LatentkitError } from '../platform/errors.js'
import { type DataSettings, dataSettings, openDataSource } from './data-settings.js'
import { type DiffusionRecipe, diffusionRecipe } from './diffusion/recipe.js'
import { type AutoencoderRecipe, autoencoderRecipe } from './first-stage/recipe.js'

export interface PlanOptions {
  /** Side in pixels; the largest of 32, 64 and 128 that the pictures have, if not given. */
  readonly size?: number | undefined
  readonly firstStageSteps: number
  readonly steps: number
  readonly seed: number
  readonly flip: boolean
}

/** What training on a folder would be: what was found there, and a recipe for each stage. */
export interface FolderPlan {
  readonly report: FolderReport
  readonly size: number
  readonly autoencoder: AutoencoderRecipe
  readonly diffusion: DiffusionRecipe
}

/** Multiplier of channels for each level; every level but the first halves the size, which leaves latents 8 to 32 wide. */
const levels: Record<number, readonly number[]> = { 32: [1, 2, 4], 64: [1, 2, 4], 128: [1, 2, 3, 4], 256: [1, 2, 3, 4] }

/**
 * Looks at a folder of pictures and plans both stages for them: sizes of networks that train on a processor, text if
 * there are captions, otherwise classes if every picture has one.
 *
 * Throws FileError where there are no pictures, LatentkitError for a size that is none of 32, 64, 128 and 256.
 */
export async function planFolder(folder: string, options: PlanOptions, signal?: AbortSignal): Promise<FolderPlan> {
  const place = await placeOf(folder)
  const report =
    'folder' in place
      ? await inspectFolder(folder, { badPictures: 'skip', ...(signal && { signal }) })
      : await inspectSource(await openDataSource(dataSettings.parse({ ...place, size: 32 }), signal), signal)
  const found = report.shorterSide?.median ?? 32
  const size = options.size ?? (found >= 128 ? 128 : found >= 64 ? 64 : 32)
  const multipliers = levels[size]
  if (multipliers === undefined) {
    throw new LatentkitError(`Cannot plan for pictures of ${size} pixels: found ${size}, wanted 32, 64, 128 or 256`)
  }
  const data = { ...place, size, flip: options.flip, bad_pictures: 'skip' as const }
  const shared = { seed: options.seed, betas: [0.9, 0.99], learning_rate: 4e-4, clip: 1, ema: { decay: 0.999 } }
  const autoencoder = autoencoderRecipe.parse({
    data,
    ...(size > 64 && { crop: 64 }),
    first_stage_config: {
      embed_dim: 4,
      ddconfig: {
        z_channels: 4,
        resolution: size,
        in_channels: 3,
        out_ch: 3,
        ch: 32,
        ch_mult: multipliers,
        num_res_blocks: 1,
        // 32 groups of a narrow network are one channel each, which normalises flat colours away.
        num_groups: 8,
        attn_resolutions: [],
        attn_type: 'none',
      },
    },
    training: { ...shared, ...every(options.firstStageSteps), batch: 16 },
  })
  const text = report.captioned > 0
  const classes = text ? undefined : trainableClasses(report)
  const conditioned = text || classes !== undefined
  const diffusion = diffusionRecipe.parse({
    data,
    first_stage: 'autoencoder.safetensors',
    unet_config: {
      in_channels: 4,
      out_channels: 4,
      model_channels: 96,
      channel_mult: [1, 2, 2],
      num_res_blocks: 1,
      attention_resolutions: [2, 4],
      num_attention_blocks: [1, 1, 1],
      num_head_channels: 64,
      use_spatial_transformer: true,
      use_linear_in_transformer: true,
      use_scale_shift_norm: true,
      legacy: false,
      ...(conditioned && { context_dim: 192, pooled_context: true }),
    },
    ...(text && {
      conditioning: { text: { n_embed: 192, n_layer: 2, max_seq_len: 24, heads: 6, dim_head: 32 } },
    }),
    ...(classes && { conditioning: { class: { embed_dim: 192, names: classes } } }),
    diffusion: { parameterization: 'v', beta_schedule: 'cosine', timesteps: 1000 },
    ...(text && { samples: { prompts: somePrompts(report, 8) } }),
    training: { ...shared, ...every(options.steps), batch: 64 },
  })
  return { report, size, autoencoder, diffusion }
}

/** The classes, if every picture that is trained on has one and none is only held out. */
function trainableClasses({ dataset: { pictures, labels }, split, complete }: FolderReport): string[] | undefined {
  const found = new Set(split.train.map(i => pictures[i]!.label))
  const all = complete && !found.has(undefined) && labels.length > 1 && labels.every(label => found.has(label))
  return all ? [...labels] : undefined
}

/** What a place holds: pictures, shards or Parquet files. Pictures that lie open are taken before archives beside them. */
async function placeOf(place: string): Promise<Pick<DataSettings, 'folder' | 'shards' | 'parquet'>> {
  const shard = /\.(tar|tar\.gz|tgz)$/i
  const parquet = /\.parquet$/i
  const picture = new RegExp(`(${imageExtensions.join('|')})$`.replaceAll('.', '\\.'), 'i')
  if (shard.test(place)) return { shards: place }
  if (parquet.test(place)) return { parquet: place }
  if ((await fileInfo(place))?.kind !== 'folder') return { folder: place }
  const names: string[] = []
  for await (const { name, relativePath } of walkFiles(place)) {
    if (picture.test(name)) return { folder: place }
    if (shard.test(relativePath) || parquet.test(relativePath)) names.push(relativePath)
  }
  // Shards lie in the folder itself, Parquet files in folders of it as well.
  if (names.some(name => shard.test(name) && !name.includes('/'))) return { shards: place }
  return names.some(name => parquet.test(name)) ? { parquet: place } : { folder: place }
}

/** Warm-up, and how often to look, for a number of steps. */
const every = (steps: number) => ({
  steps,
  warm_up: Math.min(500, Math.floor(steps / 10)),
  evaluate_every: Math.min(500, steps),
  sample_every: Math.min(500, steps),
  checkpoint_every: Math.min(250, steps),
})

/** Captions evenly spread over the held-out pictures, or over all if none is held out. */
function somePrompts({ dataset: { pictures }, split }: FolderReport, count: number): string[] {
  const indices = split.heldOut.length > 0 ? split.heldOut : split.train
  const captions = indices.flatMap(i => pictures[i]!.captions.slice(0, 1))
  const known = captions.length > 0 ? captions : pictures.flatMap(({ captions }) => captions.slice(0, 1))
  const stride = Math.max(1, known.length / count)
  return Array.from({ length: Math.min(count, known.length) }, (_, i) => known[Math.floor(i * stride)]!)
}
