import { LatentkitError } from '../platform/errors.js'

/** Text as numbers of one fixed length, for a text encoder's embedding table. */
export interface Encoded {
  /** Start, tokens, end, padding. */
  ids: Int32Array
  /** How many ids are not padding, start and end included. */
  used: number
  /** How many of the text's tokens did not fit and were left out. */
  truncated: number
}

/** Turns text into token numbers and back; every vocabulary of `text/` gives one. */
export interface Tokenizer {
  /** Ids lie in 0 .. size - 1. */
  readonly size: number
  /** What stands around tokens. */
  readonly marks: Marks
  /** The tokens of a text alone, without start, end and padding. */
  tokens(text: string): number[]
  /** A text as exactly `length` ids: start, as many tokens as fit, end, padding. */
  encode(text: string, length: number): Encoded
  /** What the tokens say, as far as the vocabulary's normalisation left it. */
  decode(ids: Iterable<number>): string
}

/** Start, tokens, end and padding in `length` places; what does not fit is cut before the end. */
export function framed(tokens: readonly number[], length: number, marks: Marks): Encoded {
  if (!Number.isInteger(length) || length < 2)
    throw new RangeError(`Cannot encode text: found a length of ${length}, wanted at least 2 (start and end)`)
  const kept = Math.min(tokens.length, length - 2)
  const ids = new Int32Array(length).fill(marks.pad)
  ids[0] = marks.start
  for (let i = 0; i < kept; i++) ids[i + 1] = tokens[i]!
  ids[kept + 1] = marks.end
  return { ids, used: kept + 2, truncated: tokens.length - kept }
}

/** The ids around a text's tokens. */
export interface Marks {
  readonly start: number
  readonly end: number
  readonly pad: number
}

/** Remembers what `make` gave for each word; forgets all when full, so that hostile text takes no memory. */
export function remembered<T>(make: (word: string) => T, most = 1 << 16): (word: string) => T {
  const cache = new Map<string, T>()
  return word => {
    let value = cache.get(word)
    if (value === undefined) {
      value = make(word)
      if (cache.size >= most) cache.clear()
      if (word.length <= 64) cache.set(word, value)
    }
    return value
  }
}

/** The error of a vocabulary that is none. */
export const badVocabulary = (name: string, reason: string) =>
  new LatentkitError(`Cannot read the vocabulary ${name}: ${reason}`)
