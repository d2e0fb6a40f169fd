import { z } from 'zod'

/** Which pictures are trained on, and what is done to them first. */
export const dataSettings = z.strictObject({
  folder: z.string().min(1).describe('of the pictures, seen from the recipe'),
  size: z.int().positive().describe('side in pixels to which every picture is brought: resized, its middle cut out'),
  flip: z.boolean().default(false).describe('mirror half of the samples'),
})
export type DataSettings = z.infer<typeof dataSettings>
