import { z } from 'zod'
import { LatentkitError } from '../platform/errors.js'
import type { TorchGenerator } from '../random/index.js'
import { f32 } from '../tensor/tensor.js'
import type { Conditioning, Neighbours, Request } from './contract.js'
import { imageField } from './fields.js'

/** The network that comes with latentkit, as its figures name it. */
const bundled = 'SqueezeNet 1.1'

const config = z.strictObject({
  width: z.int().positive().default(512).describe('numbers in an embedding of a picture'),
  k: z.int().positive().default(4).describe('neighbours that a picture is painted after'),
  network: z.string().default(bundled).describe('whose embeddings these are, for people'),
  keep: z.int().positive().default(4096).describe('most embeddings that a checkpoint keeps to retrieve from'),
})

const recipe = config.omit({ network: true }).extend({
  weights: z
    .string()
    .min(1)
    .optional()
    .describe(
      'of the network whose embeddings tell what is alike, such as CLIP; the SqueezeNet that comes with latentkit if left out',
    ),
})
type Config = z.output<typeof config>

/** Embeddings of the pictures to retrieve from, and of the picture that is looked for, if there is one. */
export interface Retrieval {
  readonly index: Neighbours
  readonly query?: Float32Array | undefined
  /** The picture in the index that training must not find for itself. */
  readonly except?: number | undefined
}

/**
 * The embeddings of similar pictures, as context: retrieval-augmented diffusion. Source: Blattmann et al. 2022,
 * "Retrieval-Augmented Diffusion Models", section 3.
 */
export const neighbours = {
  what: 'pictures to paint after',
  config,
  recipe,
  sees: ['pixels'],
  request: {
    image: { ...imageField, optional: true },
    neighbours: {
      schema: z.union([z.string(), z.custom<Neighbours>(value => (value as Neighbours)?.data instanceof Float32Array)]),
      describe: 'pictures to retrieve from, for models of that: a folder (default those of training)',
      placeholder: 'FOLDER',
      optional: true,
      read: text => text,
    },
    embedder: {
      schema: z.string(),
      describe:
        'weights of the network that the model was trained to find such pictures by, if not the bundled one; a prompt needs a whole CLIP',
      placeholder: 'FILE',
      optional: true,
      read: text => text,
    },
  },
  files: (recipe, at) => ({ ...recipe, ...(recipe.weights !== undefined && { weights: at(recipe.weights) }) }),
  learn: ({ weights: _, ...rest }, { before }) => ({
    config: { ...rest, network: before ? config.parse(before.config).network : bundled },
  }),
  assume: ({ weights: _, ...rest }) => ({ ...rest, network: bundled }),
  reach: ({ width }) => ({ context: width }),
  inputs: ({ width, k }) => ({ neighbours: f32(k, width) }),
  embed: (_, __, { neighbours }) => ({ context: neighbours! }),
  reader({ width, k }, { neighbours: index }) {
    const found = new Map<number, Float32Array>()
    return {
      ofRecord({ index: picture, random }) {
        if (index === undefined) throw new LatentkitError('neighbours: training has no index of embeddings')
        const query = row(index, picture)
        const known = found.get(picture) ?? nearest({ index, query, except: picture }, k, random)
        found.set(picture, known)
        return { neighbours: known }
      },
      ofRequest(request, _, random) {
        const { neighbours: given, query, told, toldNegative } = request as Request & Retrieved
        const from = given ?? index
        if (told !== undefined) {
          const rows = (text: Float32Array) => ({ neighbours: afterText(text, { k, width, from, random }) })
          return { positive: rows(told), ...(toldNegative && { negative: rows(toldNegative) }) }
        }
        if (from === undefined)
          throw new LatentkitError(
            'generate: this model paints after other pictures; wanted is "neighbours", a folder of them',
          )
        if (from.width !== width)
          throw new LatentkitError(
            `generate: neighbours have ${from.width} numbers each and this model wants ${width}; they are of another network`,
          )
        return { positive: { neighbours: nearest({ index: from, query }, k, random) } }
      },
      none: () => ({ neighbours: new Float32Array(k * width) }),
    }
  },
} satisfies Conditioning<Config, z.output<typeof recipe>>

/** What becomes of a request before it is read: embeddings in place of pictures and texts. */
export interface Retrieved {
  readonly neighbours?: Neighbours | undefined
  /** Of the picture that is looked for. */
  readonly query?: Float32Array | undefined
  /** Of the prompt, and of what guidance leads away from. */
  readonly told?: Float32Array | undefined
  readonly toldNegative?: Float32Array | undefined
}

/**
 * A text's embedding before those of the pictures nearest to it, k in all; without pictures alone, which k times is the
 * same to an attention as once. Source: latent-diffusion, scripts/knn2img.py.
 */
function afterText(
  text: Float32Array,
  { k, width, from, random }: { k: number; width: number; from: Neighbours | undefined; random: TorchGenerator },
): Float32Array {
  if (text.length !== width || (from && from.width !== width))
    throw new LatentkitError(
      `generate: the prompt has ${text.length} numbers and this model wants ${width}; its embedder is another CLIP`,
    )
  const out = new Float32Array(k * width)
  for (let i = 0; i < k; i++) out.set(unit(text), i * width)
  if (from && k > 1) out.set(nearest({ index: from, query: text }, k - 1, random), width)
  return out
}

/** The k embeddings nearest to what is looked for, nearest first, [k, width] of length 1 each. */
export function nearest(retrieval: Retrieval, k: number, random: TorchGenerator): Float32Array {
  const { index } = retrieval
  const out = new Float32Array(k * index.width)
  for (const [i, found] of nearestRows(retrieval, k, random).entries())
    out.set(unit(row(index, found)), i * index.width)
  return out
}

/**
 * Which k embeddings have the smallest angle to a query, exactly, by looking at all of them; without a query, to one of
 * them drawn by chance. Of an index of fewer some are taken again.
 */
function nearestRows({ index, query, except }: Retrieval, k: number, random: TorchGenerator): number[] {
  const { data, width, rows = Array.from({ length: data.length / width }, (_, i) => i) } = index
  if (rows.length === 0) throw new LatentkitError('Cannot retrieve neighbours: the index is empty')
  const from = query ?? row(index, rows[random.randint(0, rows.length, 1)[0]!]!)
  const score = (i: number) => {
    let [product, square] = [0, 0]
    for (let j = i * width, c = 0; c < width; j++, c++) {
      product += data[j]! * from[c]!
      square += data[j]! ** 2
    }
    return product / Math.sqrt(square || 1)
  }
  const others = rows.length > 1 ? rows.filter(i => i !== except) : rows
  const order = others.map(i => [i, score(i)] as const).sort((a, b) => b[1] - a[1] || a[0] - b[0])
  return Array.from({ length: k }, (_, i) => order[i % order.length]![0])
}

const row = ({ data, width }: Neighbours, i: number): Float32Array => data.subarray(i * width, (i + 1) * width)

function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector) || 1
  return vector.map(value => value / length)
}
