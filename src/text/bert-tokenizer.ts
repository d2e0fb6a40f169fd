import { basicText } from './basic-text.js'
import { badVocabulary, framed, remembered, type Tokenizer } from './tokenizer.js'

/** Longer words become one unknown token (transformers, WordPiece max_input_chars_per_word). */
const LONGEST_WORD = 100
const LARGEST = 16 * 2 ** 20

const MARKS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] as const
/** What stands for itself wherever it occurs in a text. */
const SPECIAL = /(\[(?:PAD|UNK|CLS|SEP|MASK)\])/
/** Unicode punctuation, and the ASCII symbols that BERT counts among it. */
const WORD = /[\p{P}$+<=>^`|~]|[^\p{P}$+<=>^`|~\p{White_Space}]+/gu

/**
 * The tokenizer of the text-to-image LDM (bert-base-uncased): control characters and accents dropped, lower case, the
 * longest known pieces of each word, those within a word marked `##`.
 * @param vocabulary `vocab.txt`: one piece a line, the line's number is the id
 * @throws LatentkitError where it is no such vocabulary
 * @see CompVis/latent-diffusion ldm/modules/encoders/modules.py, BERTTokenizer; transformers BertTokenizerFast
 * @example bertTokenizer(vocabulary).encode('a photo of a cat', 77).ids // [101, 1037, 6302, 1997, 1037, 4937, 102, 0, ...]
 */
export function bertTokenizer(vocabulary: string): Tokenizer {
  if (vocabulary.length > LARGEST)
    throw badVocabulary('vocab.txt', `found ${vocabulary.length} characters, wanted at most ${LARGEST}`)
  const pieces = vocabulary.replace(/\r?\n$/, '').split(/\r?\n/)
  const ids = new Map(pieces.map((piece, id) => [piece, id]))
  const [pad, unknown, start, end] = MARKS.map(mark => {
    const id = ids.get(mark)
    if (id === undefined && mark !== '[MASK]') throw badVocabulary('vocab.txt', `no line is ${mark}`)
    return id
  }) as [number, number, number, number]
  const marks = { start, end, pad }
  const longest = pieces.reduce((most, piece) => Math.max(most, piece.length), 0)

  const piecesOf = remembered((word: string): number[] => {
    const found: number[] = []
    if ([...word].length > LONGEST_WORD) return [unknown]
    for (let from = 0; from < word.length; ) {
      let to = Math.min(word.length, from + longest)
      let id: number | undefined
      for (; to > from; to--) {
        id = ids.get((from > 0 ? '##' : '') + word.slice(from, to))
        if (id !== undefined) break
      }
      if (id === undefined) return [unknown]
      found.push(id)
      from = to
    }
    return found
  })

  const tokens = (text: string) =>
    text.split(SPECIAL).flatMap((part, i) => {
      const special = i % 2 === 1 ? ids.get(part) : undefined
      return special === undefined ? (normalised(part).match(WORD) ?? []).flatMap(piecesOf) : [special]
    })

  return {
    size: pieces.length,
    marks,
    tokens,
    encode: (text, length) => framed(tokens(text), length, marks),
    decode: sequence =>
      [...sequence]
        .filter(id => id !== pad && id !== start && id !== end)
        .map(id => pieces[id] ?? '')
        .join(' ')
        .replaceAll(' ##', ''),
  }
}

const normalised = (text: string): string =>
  basicText(text)
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
    .toLowerCase()
