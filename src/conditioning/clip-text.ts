import { z } from 'zod'
import { readBytes } from '#platform'
import { LatentkitError } from '../platform/errors.js'
import { validate } from '../schema/index.js'
import { i64 } from '../tensor/tensor.js'
import { clipText as clipEncoder, clipTextConfig, finalNorm } from '../text/encoder-clip.js'
import { clipTokenizer, vocabularyText } from '../text/index.js'
import type { Conditioning } from './contract.js'
import { sentenceReader, storedVocabulary } from './sentences.js'

const config = z.strictObject({
  ...clipTextConfig.shape,
  layer: z
    .enum(['last', 'penultimate'])
    .default('last')
    .describe('whose output the context is, normalised: Stable Diffusion 1 has the last, 2 the one before'),
  padding: z
    .enum(['end', 'zero'])
    .default('end')
    .describe('what fills up short texts: the end of text (Stable Diffusion 1) or 0 (2)'),
})
const recipe = config.extend({
  merges: z
    .string()
    .min(1)
    .describe("CLIP's vocabulary, seen from the recipe: bpe_simple_vocab_16e6.txt.gz or merges.txt"),
})
type Config = z.output<typeof config>

const vocabularySchema = z.strictObject({ kind: z.literal('clip'), merges: z.string() })

/**
 * Sentences by CLIP's text encoder, as context; it is meant to be frozen. Sources: stable-diffusion,
 * ldm/modules/encoders/modules.py, FrozenCLIPEmbedder; stablediffusion, FrozenOpenCLIPEmbedder.
 */
export const clipText = {
  what: 'a text',
  config,
  recipe,
  request: {},
  files: ({ merges, ...rest }, at) => ({ ...rest, merges: at(merges) }),
  reach: ({ hidden_size }) => ({ context: hidden_size }),
  inputs: ({ max_position_embeddings }) => ({ tokens: i64(max_position_embeddings) }),
  embed(at, config, { tokens }) {
    const root = at('transformer')
    const encoded = clipEncoder(root, config, tokens!)
    return { context: config.layer === 'last' ? encoded.last : finalNorm(root, config, encoded.hidden.at(-2)!) }
  },
  async learn({ merges, ...config }, { before }) {
    if (before?.stored.vocabulary !== undefined) return { config, vocabulary: before.stored.vocabulary }
    const text = await vocabularyText(await readBytes(merges), merges)
    return { config, vocabulary: JSON.stringify({ kind: 'clip', merges: text }) }
  },
  assume: ({ merges: _, ...config }) => config,
  reader({ vocab_size, max_position_embeddings, padding }, stored) {
    const { merges } = validate(vocabularySchema, storedVocabulary(stored), 'vocabulary')
    const tokenizer = clipTokenizer({ merges }, { padding })
    if (tokenizer.size > vocab_size)
      throw new LatentkitError(`has a vocabulary of ${tokenizer.size} tokens and a text encoder of ${vocab_size}`)
    return sentenceReader(tokenizer, max_position_embeddings, stored)
  },
} satisfies Conditioning<Config, z.output<typeof recipe>>
