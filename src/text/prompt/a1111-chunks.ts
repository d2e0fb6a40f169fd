import { LatentkitError } from '../../platform/errors.js'
import { a1111Weights, isBreak } from './attention.js'
import { type Chunk, chunkOf, type Lexicon, type Weighted } from './chunk.js'

/** At the end of a chunk what follows a comma so near goes to the next one (the default of `comma_padding_backtrack`). */
const BACKTRACK = 20

/** Words are found by their tokens, wherever those are, and stand for no token until the chunk is done. */
const PLACE = 0

/**
 * The chunks that A1111 makes of a prompt: full ones, or ended by a BREAK, or after the last comma near their end.
 *
 * Of a word that moves on with the text after a comma the original leaves the vectors where they were, among the padding,
 * and so does this.
 *
 * @throws LatentkitError for a weight that is no number, and for a word of more vectors than a chunk has places
 * @see AUTOMATIC1111/stable-diffusion-webui modules/sd_hijack_clip.py, tokenize_line and process_tokens
 */
export function a1111Chunks(prompt: string, lexicon: Lexicon): readonly Chunk[] {
  const { tokenizer } = lexicon
  const room = lexicon.length - 2
  const [comma, ...more] = tokenizer.tokens(',')
  const wordAt = wordFinder(lexicon)
  const chunks: Chunk[] = []
  let tokens: Weighted[] = []
  let words: Placed[] = []
  let lastComma = -1
  const close = () => {
    chunks.push(withWords(padded(tokens, lexicon), words))
    tokens = []
    words = []
    lastComma = -1
  }

  for (const piece of a1111Weights(prompt)) {
    if (isBreak(piece)) {
      close()
      continue
    }
    const { weight } = piece
    const ids = tokenizer.tokens(piece.text)
    for (let at = 0; at < ids.length; ) {
      const id = ids[at]!
      if (id === comma && more.length === 0) lastComma = tokens.length
      else if (tokens.length === room && lastComma >= 0 && tokens.length - lastComma <= BACKTRACK) {
        const moved = tokens.splice(lastComma + 1)
        close()
        tokens = moved
      }
      if (tokens.length === room) close()
      const word = wordAt(ids, at)
      if (word === undefined) {
        tokens.push({ id, weight })
        at++
        continue
      }
      if (word.vectors.length > room)
        throw new LatentkitError(
          `prompt: the word "${word.name}" has ${word.vectors.length} vectors; wanted at most ${room}, which is what the text encoder takes at once`,
        )
      if (tokens.length + word.vectors.length > room) close()
      words.push({ at: tokens.length, vectors: word.vectors })
      for (const _ of word.vectors) tokens.push({ id: PLACE, weight })
      at += word.tokens.length
    }
  }
  if (tokens.length > 0 || chunks.length === 0) close()
  return chunks
}

/** The original's padding: the end of text up to the end, and after the first such id whatever the encoder is padded with. */
function padded(tokens: readonly Weighted[], lexicon: Lexicon): Chunk {
  const { end, pad } = lexicon.tokenizer.marks
  const chunk = chunkOf(tokens, lexicon)
  chunk.ids.fill(pad, chunk.ids.indexOf(end) + 1)
  return chunk
}

interface Placed {
  readonly at: number
  readonly vectors: readonly number[]
}

function withWords(chunk: Chunk, words: readonly Placed[]): Chunk {
  for (const { at, vectors } of words) chunk.ids.set(vectors.slice(0, chunk.ids.length - at - 1), at + 1)
  return chunk
}

/** Finds the word whose tokens begin at a place, the longest first (textual_inversion.py, find_embedding_at_position). */
function wordFinder({ tokenizer, words }: Lexicon) {
  const known = [...words]
    .map(([name, vectors]) => ({ name, vectors, tokens: tokenizer.tokens(name) }))
    .sort((a, b) => b.tokens.length - a.tokens.length)
  return (ids: readonly number[], at: number) =>
    known.find(({ tokens }) => tokens.length > 0 && tokens.every((id, i) => ids[at + i] === id))
}
