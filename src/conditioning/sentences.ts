import { LatentkitError } from '../platform/errors.js'
import { withWords } from '../text/added-words.js'
import type { Tokenizer } from '../text/index.js'
import type { Reader, Stored } from './contract.js'

/**
 * Reads captions and prompts as `tokens` of one length; no condition is the empty sentence. Words that are stored beside
 * the vocabulary have the ids after its own.
 */
export function sentenceReader(vocabulary: Tokenizer, length: number, { words }: Pick<Stored, 'words'>) {
  const tokenizer = words ? withWords(vocabulary, words) : vocabulary
  const numbers = (sentence: string) => ({ tokens: tokenizer.encode(sentence, length).ids })
  return {
    ofRecord: ({ caption }) => numbers(caption),
    ofRequest: ({ prompt, negativePrompt }) => ({
      positive: numbers(prompt),
      negative: numbers(negativePrompt),
      leftOut: tokenizer.encode(prompt, length).truncated,
    }),
    none: () => numbers(''),
  } satisfies Reader
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
