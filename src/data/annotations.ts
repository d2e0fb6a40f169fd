import { z } from 'zod'

/** A thing in a picture and where it is. */
export interface Box {
  readonly label: string
  /** Left, top, width and height as fractions of the picture's, inside [0, 1]. */
  readonly box: readonly [x: number, y: number, width: number, height: number]
}

const words = z.string().trim()
/** Edges that were rounded may reach this far outside. */
const slack = 1e-3

const box = z
  .object({
    label: z.union([z.string().trim().min(1), z.number()]).transform(String),
    box: z.tuple([z.number(), z.number(), z.number(), z.number()]),
  })
  .superRefine(({ box: [x, y, width, height] }, { addIssue }) => {
    const empty = width <= 0 || height <= 0
    const outside = x < -slack || y < -slack || x + width > 1 + slack || y + height > 1 + slack
    if (!empty && !outside) return
    const wanted = 'wanted left, top, width and height as fractions of the picture'
    addIssue({
      code: 'custom',
      path: ['box'],
      message: `[${[x, y, width, height].join(', ')}] ${empty ? 'is empty' : 'reaches outside the picture'}; ${wanted}`,
    })
  })

/** What records say of a picture, in a line of `captions.jsonl` as in the `.json` of a tar shard. */
export const annotationFields = {
  caption: words.optional(),
  captions: z.array(words).optional(),
  label: z.union([z.string(), z.number()]).transform(String).optional(),
  class: z.union([z.string(), z.number()]).transform(String).optional(),
  boxes: z.array(box).max(1000).optional(),
  map: z.string().min(1).optional(),
  hint: z.string().min(1).optional(),
  split: z.string().optional(),
}

/** Pictures that belong to a picture: the classes of its pixels, and what a ControlNet is to follow. */
export const companions = ['map', 'hint'] as const
export type Companion = (typeof companions)[number]

/** What is known of a picture besides its pixels. */
export interface Annotations {
  /** What it shows, in other words each; empty where nobody says. */
  readonly captions: readonly string[]
  /** Its class. */
  readonly label?: string
  readonly boxes?: readonly Box[]
  /** `train`, or what it is held out for. */
  readonly split?: string
}

/** The known fields of a record, checked by `annotationFields`. */
export function annotationsOf({
  caption,
  captions = [],
  label,
  class: group = label,
  boxes,
  split,
}: z.output<z.ZodObject<typeof annotationFields>>): Annotations {
  return {
    captions: uniqueWords([...(caption === undefined ? [] : [caption]), ...captions]),
    ...(group !== undefined && { label: group }),
    ...(boxes && { boxes }),
    ...(split !== undefined && { split }),
  }
}

/** Each caption once and none that is empty. */
export function uniqueWords(captions: readonly string[]): string[] {
  return [...new Set(captions)].filter(caption => caption !== '')
}
