import { suggest } from '../../schema/index.js'
import { type Chunk, chunkOf, type Lexicon, type Weighted } from './chunk.js'
import { comfyuiWeights } from './comfyui-weights.js'
import { promptError } from './errors.js'
import { trimmedEnd, trimmedStart } from './python.js'

/** Text of one weight that has fewer tokens is not cut by the end of a chunk (max_word_length). */
const LONG = 8

const WORD = 'embedding:'

/**
 * The chunks that ComfyUI makes of a prompt; `embedding:name` stands for a further word.
 *
 * @throws LatentkitError for a word that is not there, which ComfyUI leaves out with a warning
 * @see comfyanonymous/ComfyUI comfy/sd1_clip.py, SDTokenizer.tokenize_with_weights
 */
export function comfyuiChunks(prompt: string, lexicon: Lexicon): readonly Chunk[] {
  const room = lexicon.length - 2
  const chunks: Weighted[][] = [[]]
  for (const { text, weight } of comfyuiWeights(prompt)) {
    for (const ids of groups(text, lexicon, prompt)) {
      let left = ids.map(id => ({ id, weight }))
      const long = left.length >= LONG
      while (left.length > 0) {
        const chunk = chunks.at(-1)!
        const free = room - chunk.length
        if (left.length <= free) {
          chunk.push(...left)
          left = []
        } else {
          if (long) chunk.push(...left.splice(0, free))
          chunks.push([])
        }
      }
    }
  }
  return chunks.map(tokens => chunkOf(tokens, lexicon))
}

/** Runs of tokens that belong together: the text between further words, and each of those. */
function groups(text: string, lexicon: Lexicon, prompt: string): number[][] {
  const { tokenizer } = lexicon
  const [first = '', ...rest] = text.split(/[ \n]embedding:/)
  const parts = [first, ...rest.map(part => WORD + part)].filter(part => part !== '')
  return parts.flatMap(part => {
    if (!part.startsWith(WORD)) return [tokenizer.tokens(part)]
    const { vectors, leftover } = wordIn(part.slice(WORD.length), lexicon, prompt)
    return leftover === '' ? [[...vectors]] : [[...vectors], tokenizer.tokens(leftover)]
  })
}

/** The word that a text begins with, and the text after it; commas around its name do not count. */
function wordIn(text: string, { words }: Lexicon, prompt: string): { vectors: readonly number[]; leftover: string } {
  const name = /^[^\s]*/.exec(trimmedStart(text))![0]
  const leftover = trimmedEnd(trimmedStart(trimmedStart(text).slice(name.length)))
  const exact = words.get(name.toLowerCase())
  if (exact) return { vectors: exact, leftover }
  const bare = name.replace(/^,+/, '').replace(/,+$/, '')
  const vectors = words.get(bare.toLowerCase())
  // The original cuts as many characters from the front as the bare name has, whatever commas stood there.
  if (vectors && bare !== name) return { vectors, leftover: `${name.slice(bare.length)} ${leftover}` }
  const known = words.size > 0 ? suggest(bare, words.keys()) : 'it has none'
  const found = `${WORD}${name}`
  throw promptError(
    prompt,
    Math.max(0, prompt.indexOf(found)),
    `"${found}"`,
    `wanted a further word of the model: ${known}`,
  )
}
