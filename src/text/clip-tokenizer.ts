import { basicText } from './basic-text.js'
import { cleanText } from './clean-text.js'
import { mergePairs, pairKey } from './pairs.js'
import { badVocabulary, framed, remembered, type Tokenizer } from './tokenizer.js'

const START = '<|startoftext|>'
const END = '<|endoftext|>'

/** Of openai's file, which is longer, 49152 - 256 - 2 merges count (simple_tokenizer.py); published merges.txt end there. */
const MOST_MERGES = 48894
/** The largest unpacked vocabulary file taken; CLIP's has 3.2 MB. */
const LARGEST = 16 * 2 ** 20

/** The files of a CLIP vocabulary, unpacked. */
export interface ClipFiles {
  /** `bpe_simple_vocab_16e6.txt` or Hugging Face's `merges.txt`: a first line to skip, then one merge a line. */
  merges: string
  /** Hugging Face's `vocab.json`; without it ids follow the order of the merges, which comes to the same for CLIP. */
  vocabulary?: string
}

/** Whose tokens are meant. */
export interface ClipOptions {
  /**
   * `openai` (default): text is repaired and HTML unescaped as openai/CLIP and Stable Diffusion's original code do, see
   * `cleanText`. `huggingface`: only NFC, white space and lower case, as transformers' CLIPTokenizerFast does. `basic`:
   * control characters removed and ideographs apart as well, as its CLIPTokenizer does where ftfy is not installed.
   * `ascii`: only ASCII's letters and white space are such, as for stable-diffusion.cpp (src/tokenizers/clip_tokenizer.cpp).
   */
  cleaning?: 'openai' | 'huggingface' | 'basic' | 'ascii'
  /** `end` (default): padded with the end-of-text id, Stable Diffusion 1. `zero`: with 0, openai/CLIP and OpenCLIP. */
  padding?: 'end' | 'zero'
}

const SPACE = /\p{White_Space}+/gu

const cleaned = {
  openai: (text: string) => cleanText(text).replace(SPACE, ' ').toLowerCase(),
  basic: (text: string) => basicText(text).normalize('NFC').replace(SPACE, ' ').toLowerCase(),
  huggingface: (text: string) => text.normalize('NFC').replace(SPACE, ' ').toLowerCase(),
  ascii: (text: string) => text.replace(/[A-Z]+/g, letters => letters.toLowerCase()),
}

/** simple_tokenizer.py, self.pat. */
const UNICODE_WORD =
  /<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/giu
/** The marks are found first, among other signs as well. */
const ASCII_WORD =
  /<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|\d|(?:(?!<\|(?:start|end)oftext\|>)[^ \t\n\v\f\ra-z\d])+/g

/**
 * The 256 bytes as the characters that the files write them with: printable ones as themselves, the rest from U+0100 on
 * (simple_tokenizer.py, bytes_to_unicode). The order is that of the first ids.
 */
const BYTES = (() => {
  const all = Array.from({ length: 256 }, (_, byte) => byte)
  const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
  const rest = all.filter(byte => !printable(byte)).map((byte, i) => [byte, String.fromCharCode(256 + i)] as const)
  return [...all.filter(printable).map(byte => [byte, String.fromCharCode(byte)] as const), ...rest]
})()
const WORD_END = '</w>'
const SYMBOL_OF_BYTE = new Map(BYTES.map(([byte], symbol) => [byte, symbol]))
const BYTE_OF_CHAR = new Map(BYTES.map(([byte, char]) => [char, byte]))

/**
 * The tokenizer of CLIP's text encoders: lower-case byte-pair encoding with end-of-word marks.
 * Decoding shows the start and end marks and a space after each word, as the original does.
 * @throws LatentkitError where the files are no such vocabulary
 * @see openai/CLIP clip/simple_tokenizer.py
 * @example clipTokenizer({ merges }).encode('a photo of a cat', 77).ids // [49406, 320, 1125, 539, 320, 2368, 49407, ...]
 */
export function clipTokenizer(files: ClipFiles, { cleaning = 'openai', padding = 'end' }: ClipOptions = {}): Tokenizer {
  const { names, merges } = readMerges(files.merges)
  const ids = files.vocabulary === undefined ? [...names.keys()] : readVocabulary(files.vocabulary, names)
  const start = ids[names.length - 2]!
  const end = ids[names.length - 1]!
  const marks = { start, end, pad: padding === 'end' ? end : 0 }
  const special = new Map([
    [START, [start]],
    [END, [end]],
  ])
  const utf8 = new TextEncoder()
  const pieces = remembered(word => {
    const symbols = Array.from(utf8.encode(word), byte => SYMBOL_OF_BYTE.get(byte)!)
    symbols[symbols.length - 1]! += 256
    return special.get(word) ?? mergePairs(symbols, merges).map(symbol => ids[symbol]!)
  })
  const word = cleaning === 'ascii' ? ASCII_WORD : UNICODE_WORD
  const tokens = (text: string) => (cleaned[cleaning](text).match(word) ?? []).flatMap(pieces)
  const nameOf = new Map(ids.map((id, symbol) => [id, names[symbol]!]))
  return {
    size: ids.reduce((most, id) => Math.max(most, id), 0) + 1,
    marks,
    tokens,
    encode: (text, length) => framed(tokens(text), length, marks),
    decode: sequence => decode([...sequence].map(id => nameOf.get(id) ?? '').join('')),
  }
}

function decode(written: string): string {
  const bytes = [...written.replaceAll(WORD_END, ' ')].map(char => BYTE_OF_CHAR.get(char) ?? 32)
  return new TextDecoder().decode(Uint8Array.from(bytes))
}

/** The files of a tokenizer as Hugging Face has them, from the merges alone. Source: simple_tokenizer.py, __init__. */
export function clipVocabularyFiles(merges: string): { 'vocab.json': string; 'merges.txt': string } {
  const { names } = readMerges(merges)
  const lines = merges.split('\n').slice(1, MOST_MERGES + 1)
  return {
    'vocab.json': JSON.stringify(Object.fromEntries(names.map((name, id) => [name, id]))),
    'merges.txt': `#version: 0.2\n${lines.filter(line => line !== '').join('\n')}\n`,
  }
}

/** All symbols by the names the files give them, and the merges by their pairs. */
function readMerges(text: string): { names: string[]; merges: Map<number, number> } {
  if (text.length > LARGEST)
    throw badVocabulary('of merges', `found ${text.length} characters, wanted at most ${LARGEST}`)
  const bytes = BYTES.map(([, char]) => char)
  const names = [...bytes, ...bytes.map(char => char + WORD_END)]
  const symbols = new Map(names.map((name, symbol) => [name, symbol]))
  const merges = new Map<number, number>()
  const lines = text.split('\n').slice(1, MOST_MERGES + 1)
  for (const [index, line] of lines.entries()) {
    if (line === '') continue
    const parts = line.trimEnd().split(' ')
    const [left, right] = parts.map(part => symbols.get(part))
    if (parts.length !== 2 || left === undefined || right === undefined)
      throw badVocabulary(
        'of merges',
        `line ${index + 2} is ${JSON.stringify(line.slice(0, 60))}, wanted two earlier symbols`,
      )
    const symbol = names.length
    merges.set(pairKey(left, right), symbol)
    names.push(parts.join(''))
    symbols.set(parts.join(''), symbol)
  }
  if (merges.size === 0) throw badVocabulary('of merges', 'it holds no merge')
  return { names: [...names, START, END], merges }
}

/** The id of each symbol as vocab.json has it. */
function readVocabulary(json: string, names: string[]): number[] {
  if (json.length > LARGEST)
    throw badVocabulary('vocab.json', `found ${json.length} characters, wanted at most ${LARGEST}`)
  let table: unknown
  try {
    table = JSON.parse(json)
  } catch (error) {
    throw badVocabulary('vocab.json', (error as Error).message)
  }
  if (typeof table !== 'object' || table === null) throw badVocabulary('vocab.json', 'it holds no table of symbols')
  const known = new Map(Object.entries(table))
  return names.map(name => {
    const id: unknown = known.get(name)
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= 2 ** 24)
      throw badVocabulary('vocab.json', `${JSON.stringify(name)}, which the merges make, has no whole number there`)
    return id as number
  })
}
