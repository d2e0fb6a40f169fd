import { classes } from './class.js'
import type { Conditioning } from './contract.js'
import { layout } from './layout.js'
import { neighbours } from './neighbours.js'
import { control } from './pictures/control.js'
import { depth } from './pictures/depth.js'
import { imagePrompt } from './pictures/image-prompt.js'
import { lowResolution } from './pictures/low-resolution.js'
import { mapAdapters } from './pictures/map-adapter.js'
import { mask } from './pictures/mask.js'
import { semanticMap } from './pictures/semantic-map.js'
import { sizes } from './sizes.js'
import { clipText } from './texts/clip-text.js'
import { text } from './texts/text.js'

/**
 * All conditionings by their names in configurations. A model has none, one, or several: text and a mask paint what a
 * sentence says into a picture.
 */
export const conditionings = {
  text,
  clip_text: clipText,
  sizes,
  class: classes,
  layout,
  map: semanticMap,
  low_resolution: lowResolution,
  mask,
  depth,
  neighbours,
  control,
  t2i: mapAdapters,
  image_prompt: imagePrompt,
} satisfies Record<string, Conditioning<unknown, unknown>>

/** Name of a conditioning in `conditionings`. */
export type ConditioningName = keyof typeof conditionings
