import { z } from 'zod'
import { readText } from '#platform'
import { FileError, LatentkitError } from '../platform/errors.js'
import { suggest } from '../schema/nearest.js'
import { i64 } from '../tensor/tensor.js'
import { type TextEncoderConfig, textEncoder, textEncoderConfig } from '../text/encoder.js'
import type { Box, Conditioning } from './contract.js'

const words = textEncoderConfig.omit({ max_seq_len: true }).extend({
  vocab_size: z
    .int()
    .min(6)
    .default(8192)
    .describe('tokens: corners on the finest square grid that they number, and classes'),
  max_objects: z.int().positive().default(30).describe('most objects in a picture'),
  encode_crop: z
    .boolean()
    .default(true)
    .describe(
      'boxes are of the whole picture, and two more tokens tell what part of it is seen; false: boxes of that part',
    ),
  guided: z
    .boolean()
    .default(true)
    .describe('whether training leaves boxes out at times, so that guidance can lead away from a picture without any'),
})
const labels = z.array(z.string().min(1)).min(1).describe('what objects there are, in the order of their numbers')
const fits = {
  path: ['labels'],
  message: 'there are more kinds of objects than tokens: raise vocab_size',
}
const config = words.extend({ labels }).refine(({ labels, vocab_size }) => labels.length < vocab_size, fits)
const recipe = words.extend({ labels: labels.optional() })
type Config = z.output<typeof config>

/** An object in a picture: what it is, and left, top, width and height as fractions of the picture's. */
interface Placed {
  readonly label: string
  readonly box: Box
}
const boxesSchema = z.array(
  z.strictObject({ label: z.string(), box: z.tuple([z.number(), z.number(), z.number(), z.number()]) }),
)

const whole: Box = [0, 0, 1, 1]

/**
 * Objects and where they are, as tokens of a transformer that is trained along. Sources: latent-diffusion,
 * models/ldm/layout2img-openimages256; taming-transformers, objects_bbox.py and objects_center_points.py.
 */
export const layout = {
  what: 'boxes',
  config,
  recipe,
  sees: ['size'],
  request: {
    boxes: {
      schema: boxesSchema,
      describe:
        'what is where, for models of layouts: [{"label": "cat", "box": [left, top, width, height]}, …] in fractions of the picture',
      placeholder: 'FILE|JSON',
      read: async text =>
        text.trimStart().startsWith('[') ? boxesOf(text, '--boxes') : boxesOf(await readText(text), text),
      show: JSON.stringify,
      parse: text => boxesOf(text, "the picture's settings"),
    },
  },
  layers: ({ n_layer }) => n_layer,
  reach: ({ n_embed }) => ({ context: n_embed }),
  inputs: config => ({ objects: i64(tokenCount(config)) }),
  embed: (at, config, { objects }) => ({ context: textEncoder(at, encoderOf(config), objects!) }),
  learn({ labels, ...given }, { dataset: { folder, pictures }, train, before }) {
    const boxed = train.filter(i => pictures[i]!.boxes !== undefined)
    if (boxed.length === 0) {
      throw new FileError(
        folder,
        'says nowhere what is where: wanted is "boxes": [{"label": …, "box": [left, top, width, height]}, …] in each line of captions.jsonl',
      )
    }
    const found = [...new Set(boxed.flatMap(i => pictures[i]!.boxes!.map(({ label }) => label)))].sort()
    const known = labels ?? (before ? config.parse(before.config).labels : found)
    const foreign = found.find(label => !known.includes(label))
    if (foreign !== undefined)
      throw new FileError(
        folder,
        `has boxes of "${foreign}", which is none of the model's labels; ${suggest(foreign, known)}`,
      )
    return { config: config.parse({ ...given, labels: known }) }
  },
  assume: given => ({ ...given, labels: given.labels ?? ['object'] }),
  reader(config) {
    const { max_objects, labels, guided } = config
    const none = () => ({ objects: tokensOf(config, [], whole) })
    return {
      async ofRecord({ picture, mirrored, visible, random }) {
        const boxes = picture.boxes ?? []
        // No order is better than another, and of too many a random part serves.
        const order = Array.from(random.randperm(boxes.length), i => boxes[i]!)
        return { objects: tokensOf(config, order.slice(0, max_objects), await visible(), mirrored) }
      },
      ofRequest({ boxes }) {
        const given = boxes as readonly Placed[] | undefined
        if (given === undefined)
          throw new LatentkitError(
            `generate: this model paints boxes of ${labels.slice(0, 20).join(', ')}; wanted is "boxes"`,
          )
        if (given.length > max_objects)
          throw new LatentkitError(`generate: found ${given.length} boxes; this model takes at most ${max_objects}`)
        for (const [i, placed] of given.entries()) checkPlaced(placed, i, labels)
        return { positive: { objects: tokensOf(config, given, whole) } }
      },
      ...(guided && { none }),
    }
  },
} satisfies Conditioning<Config, z.output<typeof recipe>>

const tokenCount = ({ max_objects, encode_crop }: Pick<Config, 'max_objects' | 'encode_crop'>) =>
  3 * max_objects + (encode_crop ? 2 : 0)

const encoderOf = ({ n_embed, n_layer, vocab_size, heads, dim_head, ...config }: Config): TextEncoderConfig => ({
  n_embed,
  n_layer,
  vocab_size,
  heads,
  dim_head,
  max_seq_len: tokenCount(config),
})

/**
 * For each object its class and its upper left and lower right corner; places that are left have the last token. Classes
 * and corners share their numbers: positions tell them apart.
 */
export function tokensOf(config: Config, objects: readonly Placed[], window: Box, mirrored = false): number[] {
  const { vocab_size, labels, encode_crop } = config
  const seen = mirrored ? mirror(window) : window
  const tokens = objects.flatMap(({ label, box }) => {
    const turned = mirrored ? mirror(box) : box
    const visible = encode_crop ? overlap(turned, seen) && turned : relative(turned, seen)
    return visible ? [labels.indexOf(label), ...corners(visible, vocab_size)] : []
  })
  const padded = [...tokens, ...new Array<number>(3 * config.max_objects - tokens.length).fill(vocab_size - 1)]
  return encode_crop ? [...padded, ...corners(seen, vocab_size)] : padded
}

const mirror = ([x, y, width, height]: Box): Box => [1 - x - width, y, width, height]

const overlap = ([x, y, w, h]: Box, [left, top, width, height]: Box): boolean =>
  x < left + width && left < x + w && y < top + height && top < y + h

/** A box as fractions of a window, cut off at its edges; undefined where nothing is left. */
function relative(box: Box, window: Box): Box | undefined {
  if (!overlap(box, window)) return undefined
  const [left, top, width, height] = window
  const x = Math.max((box[0] - left) / width, 0)
  const y = Math.max((box[1] - top) / height, 0)
  return [x, y, Math.min((box[0] + box[2] - left) / width, 1) - x, Math.min((box[1] + box[3] - top) / height, 1) - y]
}

const corners = ([x, y, width, height]: Box, tokens: number): [number, number] => [
  gridPoint(x, y, tokens),
  gridPoint(x + width, y + height, tokens),
]

/** The number of the nearest point of the finest square grid that so many tokens can number, row by row. */
function gridPoint(x: number, y: number, tokens: number): number {
  const sections = Math.floor(Math.sqrt(tokens))
  const at = (value: number) => roundHalfToEven(Math.min(Math.max(value, 0), 1) * (sections - 1))
  return at(y) * sections + at(x)
}

/** As Python's round. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value)
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value)
}

function checkPlaced({ label, box }: Placed, i: number, labels: readonly string[]): void {
  const what = `generate: box ${i + 1} (${label}, [${box.join(', ')}])`
  if (!labels.includes(label))
    throw new LatentkitError(`${what}: there is no label "${label}"; ${suggest(label, labels)}`)
  const [x, y, width, height] = box
  const wanted = 'wanted left, top, width and height as fractions of the picture'
  if (!(width > 0 && height > 0)) throw new LatentkitError(`${what} is empty; ${wanted}`)
  // Edges that were rounded may lie a little outside.
  if (!(x > -1e-3 && y > -1e-3 && x + width < 1 + 1e-3 && y + height < 1 + 1e-3))
    throw new LatentkitError(`${what} reaches outside the picture; ${wanted}`)
}

/** Boxes as JSON; a LatentkitError names where it is from. */
function boxesOf(text: string, name: string): z.output<typeof boxesSchema> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new LatentkitError(`${name} is no JSON: ${(cause as Error).message}`, { cause })
  }
  const parsed = boxesSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  const wanted = 'wanted [{"label": …, "box": [left, top, width, height]}, …]'
  throw new LatentkitError(`${name}: ${path.join('.') || 'the list'}: ${message}; ${wanted}`)
}
