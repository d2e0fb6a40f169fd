import { z } from 'zod'
import { LatentkitError } from '../../platform/errors.js'
import {
  type Chunk,
  lexiconOf,
  type PromptStyle,
  type PromptStyleName,
  promptStyles,
  type ReadPhrase,
  readPrompt,
} from '../../text/prompt/index.js'
import { remembered, type Tokenizer } from '../../text/tokenizer.js'
import type { Numbers, Reader, RequestField, SpokenPhrase, Stored } from '../contract.js'

/** A text encoder of a model: the input that holds its ids, and how many it takes at once. */
export interface SentenceEncoder {
  readonly input: string
  readonly tokenizer: Tokenizer
  /** The tokenizer of a prompt style whose tool has another one. */
  ofStyle?(style: PromptStyleName): Tokenizer | undefined
  readonly length: number
}

const styleNames = Object.keys(promptStyles) as [PromptStyleName, ...PromptStyleName[]]

/** How prompts are read, for conditionings of text. */
export const promptStyle: RequestField<PromptStyleName> = {
  schema: z.enum(styleNames),
  describe:
    'how prompts are read: plain text (the default); a1111: (weights:1.2), [less], BREAK, AND, [from:to:when], [by|turns]; ' +
    'comfyui: (weights:1.2), embedding:name; sdcpp: (weights:1.2), [less], BREAK; these three of any length',
  placeholder: styleNames.join('|'),
  optional: true,
  label: 'Prompt style',
  read: text => text,
  show: String,
  parse: text => text,
}

/**
 * Reads captions and prompts as ids of the encoders; no condition is the empty sentence. Words that are stored beside the
 * vocabulary have the ids after its own. Where `told` names an input, it is 0 for what guidance leads away from if that
 * is no text: its vectors are then zeros (sgm/modules/encoders/modules.py, force_zero_embeddings).
 */
export function sentenceReader(
  encoders: readonly SentenceEncoder[],
  { words }: Pick<Stored, 'words'>,
  { told }: { told?: string | undefined } = {},
) {
  const lexicons = encoders.map(({ tokenizer, length }) => lexiconOf(tokenizer, length, words))
  const lexiconsOf = remembered((style: string) =>
    encoders.map((encoder, i) => {
      const tokenizer = encoder.ofStyle?.(style as PromptStyleName)
      return tokenizer ? lexiconOf(tokenizer, encoder.length, words) : lexicons[i]!
    }),
  )
  const numbersOf = (chunks: readonly Chunk[], isTold = true): Numbers => ({
    ...Object.fromEntries(encoders.map(({ input }, i) => [input, chunks[i]!.ids])),
    ...(told !== undefined && { [told]: [isTold ? 1 : 0] }),
  })
  const plain = (sentence: string, isTold = true) =>
    numbersOf(
      lexicons.map(lexicon => promptStyles.plain.chunks(sentence, lexicon).chunks[0]!),
      isTold,
    )
  return {
    ofRecord: ({ caption }) => plain(caption),
    ofRequest(request) {
      const { prompt, negativePrompt } = request
      // `calls` and `callsBefore` of the network are the generation's to add.
      const { promptStyle: name = 'plain', calls = 1, callsBefore } = request as Partial<SpokenOver>
      const style: PromptStyle = promptStyles[name]
      const options = { style, lexicons: lexiconsOf(name), steps: calls, firstPass: callsBefore }
      const zeros = told !== undefined && negativePrompt === '' ? style.zeroesEmpty : undefined
      const spoken = ({ weight, stages }: ReadPhrase, zeros?: PromptStyle['zeroesEmpty']): SpokenPhrase => ({
        weight,
        stages: stages.map(({ until, chunks }) => ({
          until,
          chunks: chunks.map(each => ({
            numbers: numbersOf(each, zeros !== 'all'),
            weights: zeros === 'context' ? each[0]!.weights.map(() => 0) : each[0]!.weights,
          })),
        })),
      })
      const { phrases, leftOut } = readPrompt(prompt, options)
      const negative = readPrompt(negativePrompt, { ...options, negative: true }).phrases[0]!
      return {
        positive: plain(prompt),
        negative: plain(negativePrompt, zeros !== 'all'),
        leftOut,
        spoken: {
          positive: phrases.map(phrase => spoken(phrase)),
          negative: spoken(negative, zeros),
          empty: plain(''),
          weigh: style.weigh,
        },
      }
    },
    none: () => plain('', false),
  } satisfies Reader
}

/** What prompts that change over the steps are told of the generation. */
export interface SpokenOver {
  readonly promptStyle: PromptStyleName
  /** How often the network will be called. */
  readonly calls: number
  /** How often a pass before this one has called it. */
  readonly callsBefore: number
}

/** The vocabulary that a checkpoint stores, as plain data. */
export function storedVocabulary({ vocabulary }: Stored): unknown {
  if (vocabulary === undefined) throw new LatentkitError('holds no vocabulary: it was trained without captions')
  try {
    return JSON.parse(vocabulary)
  } catch (cause) {
    throw new LatentkitError('is a damaged checkpoint: its vocabulary is no JSON', { cause })
  }
}
