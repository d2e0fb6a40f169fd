import { z } from 'zod'
import { Heap, mergePairs, pairKey, SYMBOLS } from './pairs.js'
import { framed, remembered, type Tokenizer } from './tokenizer.js'

const MARKS = { pad: 0, start: 1, end: 2 }
/** Ids 3 .. 258 are the 256 bytes, so that any text has tokens; then the end of a word; then one id a merge. */
const FIRST_BYTE = 3
const WORD_END = FIRST_BYTE + 256
const FIRST_MERGE = WORD_END + 1
/** More merges than any caption corpus holds words. */
const MOST_MERGES = 2 ** 18

/** A hostile vocabulary may double its merges without end: no text for people is longer. */
const MOST_DECODED = 2 ** 16

/** A vocabulary learned from captions: plain data for a checkpoint's metadata. `merges[i]` are the two ids that id 260 + i joins. */
export const vocabularySchema = z.strictObject({
  kind: z.literal('bpe'),
  merges: z
    .array(z.tuple([z.int().min(FIRST_BYTE), z.int().min(FIRST_BYTE)]))
    .max(MOST_MERGES)
    .refine(
      merges => merges.every(([a, b], i) => Math.max(a, b) < FIRST_MERGE + i),
      'a merge joins ids that come later',
    ),
})

/** What `learnBpe` learned: plain data. */
export type Vocabulary = z.infer<typeof vocabularySchema>

/** How many ids a vocabulary has: the rows of the embedding table. */
export const vocabularySize = (vocabulary: Vocabulary) => FIRST_MERGE + vocabulary.merges.length

/**
 * Captions differ in case and in forms that look alike (full-width letters, ligatures, curly apostrophes); none of it
 * changes a picture, so all is folded: Unicode NFKC, lower case, straight apostrophes.
 */
const normalised = (text: string) => text.normalize('NFKC').toLowerCase().replace(/[‘’]/g, "'")

/** Words with their inner apostrophes, single digits, runs of anything else. */
const WORD = /\p{L}[\p{L}\p{M}]*(?:'\p{L}[\p{L}\p{M}]*)*|\p{N}|[^\s\p{L}\p{N}]+/gu

const wordsOf = (text: string): readonly string[] => normalised(text).match(WORD) ?? []

const utf8 = new TextEncoder()

const symbolsOf = (word: string): number[] => [...Array.from(utf8.encode(word), byte => FIRST_BYTE + byte), WORD_END]

/**
 * Learns a vocabulary of at most `size` ids from captions by byte-pair encoding (Sennrich et al. 2016): again and again
 * the most frequent pair of neighbours within a word becomes one symbol, until none occurs twice. The same captions in
 * any order give the same vocabulary.
 * @throws RangeError if `size` leaves no room for the bytes (260) or passes 262404
 * @example learnBpe(['red heart', 'red car'], 264).merges.length // 4
 */
export function learnBpe(captions: Iterable<string>, size: number): Vocabulary {
  if (!Number.isInteger(size) || size < FIRST_MERGE || size > FIRST_MERGE + MOST_MERGES)
    throw new RangeError(
      `Cannot learn a vocabulary: found a size of ${size}, wanted ${FIRST_MERGE} to ${FIRST_MERGE + MOST_MERGES}`,
    )
  const counts = new Map<string, number>()
  for (const caption of captions) for (const word of wordsOf(caption)) counts.set(word, (counts.get(word) ?? 0) + 1)
  const words = [...counts].map(([word, count]) => ({ symbols: symbolsOf(word), count }))

  const pairs = new Map<number, number>()
  const holders = new Map<number, Set<number>>()
  const tally = (index: number, sign: 1 | -1, changed?: Set<number>) => {
    const { symbols, count } = words[index]!
    for (let i = 1; i < symbols.length; i++) {
      const key = pairKey(symbols[i - 1]!, symbols[i]!)
      pairs.set(key, (pairs.get(key) ?? 0) + sign * count)
      changed?.add(key)
      if (sign < 0) continue
      const set = holders.get(key)
      if (set === undefined) holders.set(key, new Set([index]))
      else set.add(index)
    }
  }
  for (let i = 0; i < words.length; i++) tally(i, 1)

  // Counts in the heap may be stale: each change pushes anew, and what no longer agrees with `pairs` is passed over.
  const heap = new Heap<{ key: number; count: number }>(
    (a, b) => a.count > b.count || (a.count === b.count && a.key < b.key),
  )
  for (const [key, count] of pairs) heap.push({ key, count })

  const merges: [number, number][] = []
  for (let best = heap.pop(); best !== undefined && FIRST_MERGE + merges.length < size; best = heap.pop()) {
    const { key, count } = best
    if (pairs.get(key) !== count) continue
    if (count < 2) break
    const id = FIRST_MERGE + merges.length
    const merge: [number, number] = [Math.floor(key / SYMBOLS), key % SYMBOLS]
    merges.push(merge)
    const changed = new Set<number>()
    const only = new Map([[key, id]])
    for (const index of holders.get(key)!) {
      const word = words[index]!
      tally(index, -1, changed)
      word.symbols = mergePairs(word.symbols, only)
      tally(index, 1, changed)
    }
    holders.delete(key)
    for (const other of changed) {
      const now = pairs.get(other)!
      if (now > 0) heap.push({ key: other, count: now })
      else pairs.delete(other)
    }
  }
  return { kind: 'bpe', merges }
}

/**
 * The tokenizer of a learned vocabulary: padding 0, start 1, end 2. Text is folded to Unicode NFKC and lower case; words
 * that were never seen fall apart into pieces, at worst into UTF-8 bytes, so every script and emoji has tokens.
 * @example bpeTokenizer(learnBpe(captions, 4096)).encode('red heart', 24).ids // Int32Array(24) [1, 312, 561, 2, 0, ...]
 */
export function bpeTokenizer(vocabulary: Vocabulary): Tokenizer {
  const merges = new Map(vocabulary.merges.map(([left, right], i) => [pairKey(left, right), FIRST_MERGE + i]))
  const pieces = remembered(word => mergePairs(symbolsOf(word), merges))
  const tokens = (text: string) => wordsOf(text).flatMap(pieces)
  return {
    size: vocabularySize(vocabulary),
    marks: MARKS,
    tokens,
    encode: (text, length) => framed(tokens(text), length, MARKS),
    decode: ids => decode(vocabulary, ids),
  }
}

function decode({ merges }: Vocabulary, ids: Iterable<number>): string {
  const bytes: number[] = []
  // A merge of merges of merges may be as deep as the vocabulary is long: a list of what is left, not recursion.
  const left = [...ids].reverse()
  while (left.length > 0 && bytes.length < MOST_DECODED) {
    const id = left.pop()!
    if (id === WORD_END) bytes.push(0x20)
    else if (id >= FIRST_BYTE && id < WORD_END) bytes.push(id - FIRST_BYTE)
    else if (id >= FIRST_MERGE && id - FIRST_MERGE < merges.length)
      left.push(...[...merges[id - FIRST_MERGE]!].reverse())
  }
  return new TextDecoder().decode(Uint8Array.from(bytes)).trimEnd()
}
