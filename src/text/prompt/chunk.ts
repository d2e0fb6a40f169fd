import { withWords, wordIds } from '../added-words.js'
import type { Tokenizer } from '../tokenizer.js'

/** As many tokens as a text encoder takes at once. */
export interface Chunk {
  /** Start, tokens, end, padding. */
  readonly ids: Int32Array
  /** How much each token counts. */
  readonly weights: Float32Array
}

/** What a prompt is read with. */
export interface Lexicon {
  /** The vocabulary alone. */
  readonly tokenizer: Tokenizer
  /** The same with the further words, where they stand by themselves. */
  readonly spelling: Tokenizer
  /** The ids of further words, by their names in lower case. */
  readonly words: ReadonlyMap<string, readonly number[]>
  /** Ids that the text encoder takes at once, start and end included. */
  readonly length: number
}

/** What prompts are read with, of a vocabulary and further words with their numbers of tokens. */
export const lexiconOf = (
  tokenizer: Tokenizer,
  length: number,
  words: ReadonlyMap<string, number> = new Map(),
): Lexicon => ({
  tokenizer,
  spelling: words.size > 0 ? withWords(tokenizer, words) : tokenizer,
  words: wordIds(tokenizer, words),
  length,
})

/** A token with its weight. */
export interface Weighted {
  readonly id: number
  readonly weight: number
}

/** Tokens between start and end, with padding after them. */
export function chunkOf(tokens: readonly Weighted[], { tokenizer, length }: Lexicon): Chunk {
  const { start, end, pad } = tokenizer.marks
  const ids = new Int32Array(length).fill(pad)
  const weights = new Float32Array(length).fill(1)
  ids[0] = start
  for (const [i, { id, weight }] of tokens.entries()) {
    ids[i + 1] = id
    weights[i + 1] = weight
  }
  ids[tokens.length + 1] = end
  return { ids, weights }
}
