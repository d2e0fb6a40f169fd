import { z } from 'zod'
import { type Dataset, openFolder } from '../data/index.js'

/** Which pictures are trained on, and what is done to them first. */
export const dataSettings = z.strictObject({
  folder: z.string().min(1).describe('of the pictures, seen from the recipe'),
  size: z.int().positive().describe('side in pixels to which every picture is brought: resized, its middle cut out'),
  bad_pictures: z
    .enum(['refuse', 'skip'])
    .default('refuse')
    .describe('skip: open every picture first and leave out those that are missing or damaged'),
  flip: z.boolean().default(false).describe('mirror half of the samples'),
})
export type DataSettings = z.infer<typeof dataSettings>

/** Opens the folder that a recipe names. */
export const openData = ({ folder, bad_pictures }: DataSettings, signal: AbortSignal | undefined): Promise<Dataset> =>
  openFolder(folder, { badPictures: bad_pictures, ...(signal && { signal }) })
