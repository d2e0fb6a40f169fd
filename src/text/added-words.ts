import { framed, type Tokenizer } from './tokenizer.js'

/**
 * A tokenizer that knows further words, each as `count` ids in a row: the first word's follow the vocabulary's own, the
 * next word's those. Case does not matter, but a word within a longer one is not meant.
 *
 * @example
 * const tokenizer = withWords(bpeTokenizer(vocabulary), new Map([['<my-cat>', 2]]))
 */
export function withWords(tokenizer: Tokenizer, words: ReadonlyMap<string, number>): Tokenizer {
  const ids = new Map<string, number[]>()
  const nameOf = new Map<number, string>()
  let size = tokenizer.size
  for (const [word, count] of words) {
    if (word.trim() === '' || ids.has(word.toLowerCase()))
      throw new RangeError(`A word of a tokenizer must have letters and be there once, found ${JSON.stringify(word)}`)
    nameOf.set(size, word)
    ids.set(
      word.toLowerCase(),
      Array.from({ length: count }, () => size++),
    )
  }
  const longestFirst = [...words.keys()].sort((a, b) => b.length - a.length)
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(${longestFirst.map(literally).join('|')})(?![\\p{L}\\p{N}])`, 'iu')
  // Parts at odd places are the words between.
  const tokens = (text: string) =>
    text.split(pattern).flatMap((part, i) => (i % 2 === 1 ? ids.get(part.toLowerCase())! : tokenizer.tokens(part)))
  const [start, end, pad] = tokenizer.encode('', 3).ids as unknown as [number, number, number]
  return {
    size,
    tokens,
    encode: (text, length) => framed(tokens(text), length, { start, end, pad }),
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
