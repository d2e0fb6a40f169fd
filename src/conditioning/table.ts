import { classes } from './class.js'
import { clipText } from './clip-text.js'
import type { Conditioning } from './contract.js'
import { control } from './control.js'
import { depth } from './depth.js'
import { imagePrompt } from './image-prompt.js'
import { layout } from './layout.js'
import { lowResolution } from './low-resolution.js'
import { mapAdapters } from './map-adapter.js'
import { mask } from './mask.js'
import { neighbours } from './neighbours.js'
import { semanticMap } from './semantic-map.js'
import { sizes } from './sizes.js'
import { text } from './text.js'

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
