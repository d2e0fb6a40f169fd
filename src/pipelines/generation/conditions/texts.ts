import type { SpokenPhrase, TextShape } from '../../../conditioning/index.js'
import type { PromptStyle } from '../../../text/prompt/index.js'
import { joined } from '../noise.js'

/** What texts are made contexts with. */
export interface Vectors {
  readonly shape: TextShape
  readonly weigh: PromptStyle['weigh']
  /** Vectors of the text in a row of the embedded conditions, [tokens, width]. */
  of(row: number): Float32Array
  /** Those of no text. */
  empty(): Float32Array
}

/** Width of a context's tokens. */
export const widthOf = ({ widths }: TextShape): number => widths.reduce((sum, width) => sum + width, 0)

/**
 * What a phrase says at each of its stages: the vectors of its chunks, whose rows are told, one after the other, [tokens,
 * width]. Chunks at one place of all stages are weighed together: A1111 restores the mean of a whole batch, and encodes
 * all stages of a phrase in one (prompt_parser.py, get_learned_conditioning).
 */
export function phraseContexts(
  { stages }: SpokenPhrase,
  rows: readonly (readonly number[])[],
  { shape, weigh, of, empty }: Vectors,
): Float32Array[] {
  const width = widthOf(shape)
  const size = shape.length * width
  const places = stages[0]!.chunks.map((_, place) => {
    const z = joined(rows.map(chunks => of(chunks[place]!)))
    const weights = joined(stages.map(({ chunks }) => chunks[place]!.weights))
    if (weights.every(weight => weight === 1)) return z
    return weigh({ z, weights, width }, { widths: shape.widths, empty: empty() })
  })
  return stages.map((_, i) => joined(places.map(z => z.subarray(i * size, (i + 1) * size))))
}

/**
 * A context made longer by its last vector, as A1111 brings the phrases of a picture to one length (prompt_parser.py,
 * stack_conds).
 */
export function prolonged(context: Float32Array, length: number, width: number): Float32Array {
  if (context.length === length) return context
  const out = new Float32Array(length)
  out.set(context)
  for (let at = context.length; at < length; at += width) out.copyWithin(at, context.length - width, context.length)
  return out
}

/**
 * A context of so many numbers in all: said over and over, which changes nothing that attention sees, as ComfyUI brings
 * contexts to one length (comfy/conds.py, CONDCrossAttn). Where `others`, the tokens of other conditions, come after a
 * text, chunks of no text fill it up instead.
 */
export function fitted(
  text: Float32Array,
  others: Float32Array,
  length: number,
  empty: () => Float32Array,
): Float32Array {
  if (text.length + others.length === length) return others.length === 0 ? text : joined([text, others])
  const out = new Float32Array(length)
  const filling = others.length === 0 ? text : empty()
  const end = length - others.length
  out.set(text)
  for (let at = text.length; at < end; at += filling.length) out.set(filling, at)
  out.set(others, end)
  return out
}

/** How many chunks of text contexts of these numbers are fitted to, where the text is `alone` and where others follow it. */
export const commonChunks = (counts: readonly number[], alone: boolean): number =>
  alone ? counts.reduce((all, count) => (all * count) / greatestDivisor(all, count)) : Math.max(...counts)

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b))
