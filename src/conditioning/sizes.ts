import { z } from 'zod'
import { timestepEmbedding } from '../nn/timestep.js'
import { LatentkitError } from '../platform/errors.js'
import { reshape } from '../tensor/reshape.js'
import { concat, split } from '../tensor/slice.js'
import { f32 } from '../tensor/tensor.js'
import type { Conditioning, Place, Request, RequestField } from './contract.js'

type Pair = readonly [number, number]

/** What Stable Diffusion XL is told of a picture's making, as numbers in the originals' order: down before across. */
interface Making {
  readonly original_size: Pair
  readonly crop: Pair
  readonly target_size: Pair
  readonly aesthetic_score: readonly [number]
}
const lengths = { original_size: 2, crop: 2, target_size: 2, aesthetic_score: 1 } as const satisfies Record<
  keyof Making,
  number
>

const config = z.strictObject({
  values: z
    .array(z.enum(['original_size', 'crop', 'target_size', 'aesthetic_score']))
    .min(1)
    .max(16)
    .default(['original_size', 'crop', 'target_size'])
    .describe(
      'what is told, in this order: XL base the first three, its refiner aesthetic_score instead of target_size',
    ),
  outdim: z.int().positive().max(65536).default(256).describe('width that each number becomes'),
})
type Config = z.output<typeof config>

/** The refiner's scores of what is asked for and of what guidance leads away from: diffusers' and the web interface's. */
const scores = { positive: 6, negative: 2.5 } as const

const pairField = (label: string, describe: string, between: 'x' | ',', least: number): RequestField<Pair> => ({
  optional: true,
  label,
  schema: z.tuple([z.int().min(least).max(65536), z.int().min(least).max(65536)]),
  describe,
  placeholder: between === 'x' ? 'WIDTHxHEIGHT' : 'LEFT,TOP',
  read: text => pairOf(text, between),
  show: pair => (pair as Pair).join(between),
  parse: text => pairOf(text, between),
})

function pairOf(text: string, between: string): Pair {
  const found = text.trim().split(between).map(Number)
  if (found.length === 2 && found.every(Number.isInteger)) return found as [number, number]
  throw new LatentkitError(
    `found "${text}", wanted two whole numbers with "${between}" between, such as 1024${between}1024`,
  )
}

const scoreField = (label: string, describe: string): RequestField<number> => ({
  optional: true,
  label,
  schema: z.number().min(0).max(100),
  describe,
  placeholder: 'NUMBER',
  read: Number,
  show: String,
  parse: Number,
})

/**
 * Sizes, crop and beauty of a picture as sinusoids in y (Podell et al. 2023, section 2.2). Source: generative-models,
 * sgm/modules/encoders/modules.py, ConcatTimestepEmbedderND.
 */
export const sizes = {
  what: 'sizes',
  config,
  sees: ['size'],
  request: {
    originalSize: pairField(
      'Original size',
      'of the picture before it was cropped, for Stable Diffusion XL (default that of the picture)',
      'x',
      1,
    ),
    crop: pairField(
      'Crop',
      'what was cut off a picture on the left and above, for Stable Diffusion XL (default 0,0)',
      ',',
      0,
    ),
    targetSize: pairField(
      'Target size',
      'of the picture, for Stable Diffusion XL (default that of the picture)',
      'x',
      1,
    ),
    aestheticScore: scoreField(
      'Aesthetic score',
      `beauty that is asked for, for XL's refiner (default ${scores.positive})`,
    ),
    negativeAestheticScore: scoreField(
      'Negative aesthetic score',
      `beauty that guidance leads away from, for XL's refiner (default ${scores.negative})`,
    ),
  },
  reach: config => ({ vector: countOf(config) * config.outdim }),
  inputs: config => ({ sizes: f32(countOf(config)) }),
  embed(_, config, { sizes }) {
    const each = split(sizes!, countOf(config), { axis: 1 })
    const batch = [sizes!.shape[0]!]
    return {
      y: concat(
        each.map(one => timestepEmbedding(reshape(one, batch), config.outdim)),
        { axis: 1 },
      ),
    }
  },
  reader({ values }) {
    const numbers = (making: Making) => ({ sizes: values.flatMap(name => [...making[name]]) })
    return {
      async ofRecord(record, place) {
        const [{ width, height }, [left, top, , seen]] = [await record.size(), await record.visible()]
        // What was cut off counts in pixels of the picture as it was brought to its size.
        const scale = place.height / (seen * height)
        const crop = [Math.round(top * height * scale), Math.round(left * width * scale)] as const
        return numbers({ ...untold(place), original_size: [height, width], crop })
      },
      ofRequest(request, place) {
        const asked = request as Request & Asked
        const plain = untold(place)
        const making = {
          original_size: down(asked.originalSize) ?? plain.original_size,
          crop: down(asked.crop) ?? plain.crop,
          target_size: down(asked.targetSize) ?? plain.target_size,
        }
        const scored = (score: number) => numbers({ ...making, aesthetic_score: [score] })
        return {
          positive: scored(asked.aestheticScore ?? scores.positive),
          negative: scored(asked.negativeAestheticScore ?? scores.negative),
        }
      },
    }
  },
} satisfies Conditioning<Config>

/** The fields of a request, pairs across before down. */
interface Asked {
  readonly originalSize?: Pair
  readonly crop?: Pair
  readonly targetSize?: Pair
  readonly aestheticScore?: number
  readonly negativeAestheticScore?: number
}

const down = (pair: Pair | undefined): Pair | undefined => pair && [pair[1], pair[0]]

/** A picture of its own size, nothing cut off. */
const untold = ({ width, height }: Place): Making => ({
  original_size: [height, width],
  crop: [0, 0],
  target_size: [height, width],
  aesthetic_score: [scores.positive],
})

const countOf = ({ values }: Config): number => values.reduce((sum, name) => sum + lengths[name], 0)
