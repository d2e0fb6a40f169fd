import { framed, type Tokenizer } from './tokenizer.js'

/**
 * The ids of further words, each `count` of them in a row, by their names in lower case: the first word's follow the
 * vocabulary's own, the next word's those.
 *
 * @throws RangeError for a word without letters, or one that is there twice
 */
export function wordIds(
  { size }: Pick<Tokenizer, 'size'>,
  words: ReadonlyMap<string, number>,
): ReadonlyMap<string, readonly number[]> {
  const ids = new Map<string, number[]>()
  let next = size
  for (const [word, count] of words) {
    if (word.trim() === '' || ids.has(word.toLowerCase()))
      throw new RangeError(`A word of a tokenizer must have letters and be there once, found ${JSON.stringify(word)}`)
    ids.set(
      word.toLowerCase(),
      Array.from({ length: count }, () => next++),
    )
  }
  return ids
}

/**
 * A tokenizer that knows further words, whose ids are those of `wordIds`. Case does not matter, but a word within a longer
 * one is not meant.
 *
 * @example
 * const tokenizer = withWords(bpeTokenizer(vocabulary), new Map([['<my-cat>', 2]]))
 */
export function withWords(tokenizer: Tokenizer, words: ReadonlyMap<string, number>): Tokenizer {
  const ids = wordIds(tokenizer, words)
  const nameOf = new Map([...words.keys()].map(word => [ids.get(word.toLowerCase())![0]!, word]))
  const size = tokenizer.size + [...words.values()].reduce((sum, count) => sum + count, 0)
  const longestFirst = [...words.keys()].sort((a, b) => b.length - a.length)
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(${longestFirst.map(literally).join('|')})(?![\\p{L}\\p{N}])`, 'iu')
  // Parts at odd places are the words between.
  const tokens = (text: string) =>
    text.split(pattern).flatMap((part, i) => (i % 2 === 1 ? ids.get(part.toLowerCase())! : tokenizer.tokens(part)))
  const { marks } = tokenizer
  return {
    size,
    marks,
    tokens,
    encode: (text, length) => framed(tokens(text), length, marks),
    decode: sequence => runs(sequence, tokenizer, nameOf).trimEnd(),
  }
}

const literally = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

/** Text of what the vocabulary knows between the words, of which only the first id counts. */
function runs(sequence: Iterable<number>, tokenizer: Tokenizer, nameOf: ReadonlyMap<number, string>): string {
  let text = ''
  let known: number[] = []
  const flush = () => {
    if (known.length > 0) text += `${tokenizer.decode(known)} `
    known = []
  }
  for (const id of sequence) {
    if (id < tokenizer.size) known.push(id)
    else {
      flush()
      const word = nameOf.get(id)
      if (word !== undefined) text += `${word} `
    }
  }
  flush()
  return text
}
