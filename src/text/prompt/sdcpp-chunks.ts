import { isBreak } from './attention.js'
import { type Chunk, chunkOf, type Lexicon, type Weighted } from './chunk.js'
import { sdcppWeights } from './sdcpp-weights.js'

/**
 * The chunks that stable-diffusion.cpp makes of a prompt: full ones, but a BREAK fills up with the end of text. An encoder
 * after the first sees the padding after the first end of text alone.
 *
 * @param encoder which of a model's encoders they are for, from 0 on
 * @throws LatentkitError for a weight that is no number
 * @see leejet/stable-diffusion.cpp src/conditioning/conditioner.hpp, FrozenCLIPEmbedderWithCustomWords; src/tokenizers/tokenizer.cpp, pad_tokens
 */
export function sdcppChunks(prompt: string, lexicon: Lexicon, encoder: number): readonly Chunk[] {
  const room = lexicon.length - 2
  const { end, pad } = lexicon.tokenizer.marks
  const spell = speller(lexicon)
  const tokens: Weighted[] = []
  for (const piece of sdcppWeights(prompt)) {
    if (isBreak(piece)) while (tokens.length % room !== 0) tokens.push({ id: end, weight: 1 })
    else for (const id of spell(piece.text)) tokens.push({ id, weight: piece.weight })
  }
  const count = Math.max(1, Math.ceil(tokens.length / room))
  return Array.from({ length: count }, (_, i) => {
    const chunk = chunkOf(tokens.slice(i * room, (i + 1) * room), lexicon)
    if (encoder > 0) chunk.ids.fill(pad, chunk.ids.indexOf(end) + 1)
    return chunk
  })
}

/** Further words count wherever they stand, within others too, the first by name before longer ones (split_with_special_tokens). */
function speller({ tokenizer, words }: Lexicon): (text: string) => readonly number[] {
  if (words.size === 0) return tokenizer.tokens
  const names = [...words.keys()].sort().map(name => name.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))
  const pattern = new RegExp(`(${names.join('|')})`, 'i')
  return text =>
    text
      .replace(/[ \t\n\v\f\r]+/g, ' ')
      .split(pattern)
      // Parts at odd places are the words between.
      .flatMap((part, i) => (i % 2 === 1 ? words.get(part.toLowerCase())! : tokenizer.tokens(part)))
}
