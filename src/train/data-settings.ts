import { z } from 'zod'
import {
  bucketSettings,
  bucketShapes,
  folderSource,
  openFolder,
  openParquet,
  openShards,
  type Source,
  type Transform,
} from '../data/index.js'
import type { Size } from '../image/index.js'

const places = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)])
const column = z.string().min(1).optional()

/** Which pictures are trained on, and what is done to them first. */
export const dataSettings = z
  .strictObject({
    folder: z.string().min(1).optional().describe('of the pictures, seen from the recipe'),
    shards: places
      .optional()
      .describe('WebDataset shards instead of a folder: tar files, braces as in shard-{000..012}.tar, or their folder'),
    parquet: places.optional().describe('Parquet files instead of a folder: names, braces, or their folder'),
    columns: z
      .strictObject({ image: column, caption: column, label: column })
      .optional()
      .describe('what the columns of Parquet files are called; found by themselves as image, caption or text, label'),
    classes: z.array(z.string().min(1)).optional().describe('all classes in their order, for shards and Parquet files'),
    size: z.int().positive().describe('side in pixels to which every picture is brought: resized, its middle cut out'),
    bad_pictures: z
      .enum(['refuse', 'skip'])
      .optional()
      .describe(
        'refuse: a damaged picture ends the run, as in folders; skip: it is left out and counted, as elsewhere',
      ),
    held_out: z.number().min(0).max(0.5).default(0.05).describe('share of the pictures that is measured with instead'),
    shuffle: z
      .int()
      .positive()
      .default(4096)
      .describe('samples that are shuffled at once, for shards and Parquet files; their order is shuffled as well'),
    buckets: bucketSettings
      .optional()
      .describe('sort pictures into shapes of the area of size x size instead of cutting squares'),
    min_crop_f: z
      .number()
      .positive()
      .max(1)
      .optional()
      .describe(
        "train on random squares from this share of a picture's shorter side on, brought to size; a diffusion model then encodes pictures in every step",
      ),
    max_crop_f: z.number().positive().max(1).default(1).describe('up to this share, where min_crop_f is given'),
    flip: z.boolean().default(false).describe('mirror half of the samples'),
  })
  .superRefine((data, { addIssue }) => {
    const given = kinds.filter(kind => data[kind] !== undefined)
    if (given.length !== 1) {
      const found = given.length === 0 ? 'found none' : `found ${given.join(' and ')}`
      addIssue({ code: 'custom', path: ['folder'], message: `wanted one of folder, shards and parquet, ${found}` })
    }
    if (data.buckets && data.size % data.buckets.step !== 0) {
      addIssue({
        code: 'custom',
        path: ['buckets', 'step'],
        message: `wanted a step that ${data.size}, the size, is a multiple of`,
      })
    }
    const { min_crop_f: least = 0, max_crop_f: most } = data
    if (least > most)
      addIssue({ code: 'custom', path: ['min_crop_f'], message: `wanted at most max_crop_f, ${most}, found ${least}` })
    if (data.min_crop_f && data.buckets)
      addIssue({ code: 'custom', path: ['min_crop_f'], message: 'crops squares: it does not go with buckets' })
    if (data.columns && !data.parquet) addIssue({ code: 'custom', path: ['columns'], message: 'are for parquet' })
    if (data.classes && data.folder) addIssue({ code: 'custom', path: ['classes'], message: 'a folder names its own' })
  })
export type DataSettings = z.infer<typeof dataSettings>

const kinds = ['folder', 'shards', 'parquet'] as const

/** The shapes that pictures are sorted into, if they are. */
const shapesOf = ({ size, buckets }: DataSettings): Size[] | undefined => buckets && bucketShapes(size, buckets)

/** How much of a picture random crops show, where it is trained on such. */
export const sharesOf = ({ min_crop_f: min, max_crop_f: max }: DataSettings): Transform['shares'] =>
  min === undefined ? undefined : { min, max }

/** How pictures are seen whose latents are trained on. */
export const viewingOf = (data: DataSettings) => ({
  size: data.size,
  flip: data.flip,
  shapes: shapesOf(data),
  shares: sharesOf(data),
  damaged: damagedIn(data),
})

/** Whether a damaged picture ends the run. */
export const damagedIn = ({ bad_pictures, folder }: DataSettings): 'refuse' | 'skip' =>
  bad_pictures ?? (folder === undefined ? 'skip' : 'refuse')

/** Opens what a recipe names. */
export async function openDataSource(data: DataSettings, signal: AbortSignal | undefined): Promise<Source> {
  const { folder, shards, parquet, columns = {}, classes } = data
  const labels = classes && { labels: classes }
  if (shards !== undefined) return openShards(shards, { ...labels, signal })
  if (parquet !== undefined) return openParquet(parquet, { ...labels, columns })
  return folderSource(await openFolder(folder!, { badPictures: damagedIn(data), ...(signal && { signal }) }))
}

/** The settings with their places changed, as from a recipe's folder to the root. */
export function mapPlaces(data: DataSettings, at: (path: string) => string): DataSettings {
  const place = (path: string) => (/^https?:\/\//i.test(path) ? path : at(path))
  const changed = kinds.flatMap(kind => {
    const given = data[kind]
    return given === undefined ? [] : [[kind, Array.isArray(given) ? given.map(place) : place(given)]]
  })
  return { ...data, ...Object.fromEntries(changed) }
}

/** The settings as a checkpoint keeps them: where the data lay is nobody's business. */
export const withoutPlaces = ({ folder: _, shards: __, parquet: ___, ...rest }: DataSettings) => rest

/** How samples are drawn from the data that a recipe names. */
export const drawingOf = (data: DataSettings) => ({
  heldOut: data.held_out,
  window: data.shuffle,
  damaged: damagedIn(data),
})
