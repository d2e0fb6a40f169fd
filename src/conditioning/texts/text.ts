import { z } from 'zod'
import { LatentkitError } from '../../platform/errors.js'
import { validate } from '../../schema/index.js'
import { i64 } from '../../tensor/tensor.js'
import { type TextEncoderConfig, textEncoder, textEncoderConfig } from '../../text/encoder.js'
import {
  bertTokenizer,
  bpeTokenizer,
  learnBpe,
  type Tokenizer,
  vocabularySchema,
  vocabularySize,
} from '../../text/index.js'
import type { Conditioning, Stored } from '../contract.js'
import { promptStyle, sentenceReader, storedVocabulary } from './sentences.js'

const recipe = textEncoderConfig.omit({ vocab_size: true }).extend({
  vocabulary: z
    .int()
    .min(261)
    .default(4096)
    .describe('most tokens of the vocabulary that is learned from the captions'),
})

const bertVocabulary = z.strictObject({ kind: z.literal('bert'), words: z.string() })

/**
 * Sentences by a transformer that is trained along, as context; their words by a vocabulary that was learned from the
 * captions, or by BERT's. Source: ldm/modules/encoders/modules.py, BERTEmbedder.
 */
export const text = {
  what: 'a text',
  config: textEncoderConfig,
  recipe,
  request: { promptStyle },
  layers: ({ n_layer }) => n_layer,
  reach: ({ n_embed }) => ({ context: n_embed }),
  text: ({ max_seq_len, n_embed }) => ({ length: max_seq_len, widths: [n_embed] }),
  inputs: ({ max_seq_len }) => ({ tokens: i64(max_seq_len) }),
  embed: (at, config, { tokens }) => ({ context: textEncoder(at, config, tokens!) }),
  learn({ vocabulary: size, ...config }, { dataset, train, before }) {
    if (before) {
      const vocab_size = tokenizerOf(before.stored).size
      return { config: { ...config, vocab_size }, vocabulary: before.stored.vocabulary! }
    }
    const captions = train.flatMap(i => dataset.pictures[i]!.captions)
    const vocabulary = learnBpe(captions, size)
    return { config: { ...config, vocab_size: vocabularySize(vocabulary) }, vocabulary: JSON.stringify(vocabulary) }
  },
  assume: ({ vocabulary, ...config }) => ({ ...config, vocab_size: vocabulary }),
  reader({ vocab_size, max_seq_len }, stored) {
    const tokenizer = tokenizerOf(stored)
    if (tokenizer.size !== vocab_size)
      throw new LatentkitError(`has a vocabulary of ${tokenizer.size} tokens and a text encoder of ${vocab_size}`)
    return sentenceReader([{ input: 'tokens', tokenizer, length: max_seq_len }], stored)
  },
} satisfies Conditioning<TextEncoderConfig, z.output<typeof recipe>>

function tokenizerOf(stored: Stored): Tokenizer {
  const vocabulary = validate(z.union([vocabularySchema, bertVocabulary]), storedVocabulary(stored), 'vocabulary')
  return vocabulary.kind === 'bert' ? bertTokenizer(vocabulary.words) : bpeTokenizer(vocabulary)
}
