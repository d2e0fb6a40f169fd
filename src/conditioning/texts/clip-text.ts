import { z } from 'zod'
import { readBytes } from '#platform'
import { LatentkitError } from '../../platform/errors.js'
import { validate } from '../../schema/index.js'
import { mul } from '../../tensor/binary.js'
import { unsqueeze } from '../../tensor/reshape.js'
import { concat } from '../../tensor/slice.js'
import { f32, i64, type Tensor } from '../../tensor/tensor.js'
import {
  type ClipTower,
  checkLayer,
  clipTower,
  clipTowerConfig,
  huggingFaceTower,
  openClipTower,
  pooledWidth,
  towerLayers,
  towerLength,
  towerWidth,
} from '../../text/clip-tower.js'
import { clipTokenizer, vocabularyText } from '../../text/index.js'
import type { Conditioning, RequestField } from '../contract.js'
import { promptStyle, sentenceReader, storedVocabulary } from './sentences.js'

const severalTowers = z.strictObject({
  embedders: z
    .array(clipTowerConfig)
    .min(1)
    .max(4)
    .describe('text encoders whose tokens are joined along their width, as Stable Diffusion XL has them'),
  zero_empty: z
    .boolean()
    .default(false)
    .describe('what guidance leads away from is zeros where it is no text, not the empty text encoded'),
})

const either = <More extends z.core.$ZodLooseShape>(more: More) =>
  z.union([huggingFaceTower.extend(more), openClipTower.extend(more), severalTowers.extend(more)])

const config = either({}).superRefine((given, context) => {
  if (!('embedders' in given)) checkLayer(given, context)
})
const recipe = either({
  merges: z
    .string()
    .min(1)
    .describe("CLIP's vocabulary, seen from the recipe: bpe_simple_vocab_16e6.txt.gz or merges.txt"),
})
type Config = z.output<typeof config>

const vocabularySchema = z.strictObject({ kind: z.literal('clip'), merges: z.string() })

/** The text encoders of a configuration. */
export const towersOf = (config: Config): readonly ClipTower[] => ('embedders' in config ? config.embedders : [config])

/** The name of the input that holds a tower's tokens. */
const tokensName = (i: number): string => (i === 0 ? 'tokens' : `tokens_${i + 1}`)

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

/** Which layer of CLIP the context is of, as other tools let their users choose. */
const clipSkip: RequestField<number> = {
  schema: z.int().nonnegative().max(1000),
  describe:
    "take the context from another layer of CLIP, as the prompt style's tool counts: a1111, comfyui and sdcpp from 1, the last; plain, as diffusers, layers left out beyond the model's own",
  placeholder: 'N',
  optional: true,
  read: Number,
  label: 'Clip skip',
  show: String,
  parse: Number,
}

/**
 * Sentences by CLIP's text encoders, as context and, pooled, as part of y; they are meant to be frozen. Sources:
 * stable-diffusion and stablediffusion, ldm/modules/encoders/modules.py; generative-models, sgm/modules/encoders/modules.py,
 * GeneralConditioner.
 */
export const clipText = {
  what: 'a text',
  config,
  recipe,
  request: { promptStyle, clipSkip },
  files: ({ merges, ...rest }, at) => ({ ...rest, merges: at(merges) }),
  root: config => ('embedders' in config ? 'conditioner' : undefined),
  layers: config => Math.max(...towersOf(config).map(towerLayers)),
  reach(config) {
    const towers = towersOf(config)
    const vector = sum(towers.map(pooledWidth))
    return { context: sum(towers.map(towerWidth)), ...(vector > 0 && { vector }) }
  },
  text(config) {
    const towers = towersOf(config)
    return { length: towerLength(towers[0]!), widths: towers.map(towerWidth) }
  },
  inputs(config) {
    const tokens = towersOf(config).map((tower, i) => [tokensName(i), i64(towerLength(tower))] as const)
    return { ...Object.fromEntries(tokens), ...(zeroesEmpty(config) && { told: f32() }) }
  },
  embed(at, config, inputs) {
    const towers = towersOf(config)
    const scope = (i: number) => ('embedders' in config ? at(`embedders.${i}`) : at)
    const encoded = towers.map((tower, i) => clipTower(scope(i), tower, inputs[tokensName(i)]!))
    const pooled = encoded.flatMap(({ pooled }) => pooled ?? [])
    const context = joined(encoded.map(({ context }) => context))
    const y = pooled.length > 0 ? joined(pooled) : undefined
    const { told } = inputs
    if (told === undefined) return { context, ...(y && { y }) }
    const each = unsqueeze(told, 1)
    return { context: mul(context, unsqueeze(each, 2)), ...(y && { y: mul(y, each) }) }
  },
  async learn({ merges, ...config }, { before }) {
    if (before?.stored.vocabulary !== undefined) return { config, vocabulary: before.stored.vocabulary }
    const text = await vocabularyText(await readBytes(merges), merges)
    return { config, vocabulary: JSON.stringify({ kind: 'clip', merges: text }) }
  },
  assume: ({ merges: _, ...config }) => config,
  reader(config, stored) {
    const { merges } = validate(vocabularySchema, storedVocabulary(stored), 'vocabulary')
    const encoders = towersOf(config).map((tower, i) => {
      const { padding, vocab_size } = tower
      const read = (cleaning: 'openai' | 'basic' | 'ascii') => {
        const tokenizer = clipTokenizer({ merges }, { padding, cleaning })
        if (tokenizer.size > vocab_size)
          throw new LatentkitError(`has a vocabulary of ${tokenizer.size} tokens and a text encoder of ${vocab_size}`)
        // Further words follow the rows of the table, which may be more than the vocabulary has tokens.
        return { ...tokenizer, size: vocab_size }
      }
      // ComfyUI has transformers' tokenizer and no ftfy (its requirements.txt).
      const own = { comfyui: 'basic', sdcpp: 'ascii' } as const
      const ofStyle = (style: string) => (style in own ? read(own[style as keyof typeof own]) : undefined)
      return { input: tokensName(i), tokenizer: read('openai'), ofStyle, length: towerLength(tower) }
    })
    return sentenceReader(encoders, stored, { told: zeroesEmpty(config) ? 'told' : undefined })
  },
} satisfies Conditioning<Config, z.output<typeof recipe>>

const zeroesEmpty = (config: Config): boolean => 'embedders' in config && config.zero_empty

const joined = (parts: readonly Tensor[]): Tensor => (parts.length > 1 ? concat([...parts], { axis: -1 }) : parts[0]!)
