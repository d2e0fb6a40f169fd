import { depthToImage } from './depth-to-image.js'
import { hires } from './hires.js'
import { imageToImage } from './image-to-image.js'
import { inpaint } from './inpaint.js'
import { interpolate } from './interpolate.js'
import type { TaskName } from './names.js'
import { outpaint } from './outpaint.js'
import { panorama } from './panorama.js'
import type { Task } from './task.js'
import { upscale } from './upscale.js'
import { variations } from './variations.js'

/** All tasks beside plain generation; a new one is a file, a line here and its name in `names.ts`. */
export const tasks = {
  'image-to-image': imageToImage,
  inpaint,
  outpaint,
  'depth-to-image': depthToImage,
  upscale,
  hires,
  panorama,
  variations,
  interpolate,
} satisfies { readonly [Name in TaskName]: unknown } as unknown as Readonly<Record<TaskName, Task>>
