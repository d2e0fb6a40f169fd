import { z } from 'zod'
import { LatentkitError } from '../platform/errors.js'
import { validate } from '../schema/index.js'
import { i64 } from '../tensor/tensor.js'
import { type TextEncoderConfig, textEncoder, textEncoderConfig } from '../text/encoder.js'
import { bpeTokenizer, learnBpe, type Tokenizer, vocabularySchema, vocabularySize } from '../text/index.js'
import type { Conditioning, Stored } from './contract.js'

const recipe = textEncoderConfig.omit({ vocab_size: true }).extend({
  vocabulary: z
    .int()
    .min(261)
    .default(4096)
    .describe('most tokens of the vocabulary that is learned from the captions'),
})

/** Sentences by a transformer that is trained along, as context. Source: ldm/modules/encoders/modules.py, BERTEmbedder. */
export const text = {
  what: 'a text',
  config: textEncoderConfig,
  recipe,
  request: {},
  reach: ({ n_embed }) => ({ context: n_embed }),
  inputs: ({ max_seq_len }) => ({ tokens: i64(max_seq_len) }),
  embed: (at, config, { tokens }) => ({ context: textEncoder(at, config, tokens!) }),
  learn({ vocabulary: size, ...config }, { dataset, train, before }) {
    const known = before?.stored.vocabulary
    const captions = () => train.flatMap(i => dataset.pictures[i]!.captions)
    const vocabulary = known ?? JSON.stringify(learnBpe(captions(), size))
    return { config: { ...config, vocab_size: vocabularySize(parsed(vocabulary)) }, vocabulary }
  },
  assume: ({ vocabulary, ...config }) => ({ ...config, vocab_size: vocabulary }),
  reader(config, stored) {
    const tokenizer = tokenizerOf(config, stored)
    const { max_seq_len: length } = config
    const numbers = (sentence: string) => ({ tokens: tokenizer.encode(sentence, length).ids })
    return {
      ofRecord: ({ caption }) => numbers(caption),
      ofRequest: ({ prompt, negativePrompt }) => ({
        positive: numbers(prompt),
        negative: numbers(negativePrompt),
        leftOut: tokenizer.encode(prompt, length).truncated,
      }),
      none: () => numbers(''),
    }
  },
} satisfies Conditioning<TextEncoderConfig, z.output<typeof recipe>>

function tokenizerOf({ vocab_size }: TextEncoderConfig, { vocabulary }: Stored): Tokenizer {
  if (vocabulary === undefined) throw new LatentkitError('holds no vocabulary: it was trained without captions')
  const tokenizer = bpeTokenizer(parsed(vocabulary))
  if (tokenizer.size !== vocab_size)
    throw new LatentkitError(`has a vocabulary of ${tokenizer.size} tokens and a text encoder of ${vocab_size}`)
  return tokenizer
}

function parsed(vocabulary: string) {
  let value: unknown
  try {
    value = JSON.parse(vocabulary)
  } catch (cause) {
    throw new LatentkitError('is a damaged checkpoint: its vocabulary is no JSON', { cause })
  }
  return validate(vocabularySchema, value, 'vocabulary')
}
