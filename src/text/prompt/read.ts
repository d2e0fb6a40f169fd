import type { Chunk, Lexicon } from './chunk.js'
import type { PromptSteps } from './edits.js'
import { checkLength } from './errors.js'
import type { PromptStyle } from './styles.js'

/** What a prompt says for a while. */
export interface ReadStage {
  /** The last step that it is meant for, as `stageAt` counts. */
  readonly until: number
  /** What the text encoders read: chunk after chunk, of each encoder in turn. */
  readonly chunks: readonly (readonly Chunk[])[]
}

/** One of the prompts that lead a picture together. All its stages have as many chunks. */
export interface ReadPhrase {
  readonly weight: number
  readonly stages: readonly ReadStage[]
}

/** A prompt as a style reads it. */
export interface ReadPrompt {
  readonly phrases: readonly ReadPhrase[]
  /** Tokens that did not fit. */
  readonly leftOut: number
}

/** How a prompt is read. */
export interface ReadOptions extends PromptSteps {
  readonly style: PromptStyle
  /** Of each text encoder. */
  readonly lexicons: readonly Lexicon[]
  /** What guidance leads away from is one prompt in every style. */
  readonly negative?: boolean
}

/**
 * Reads a prompt: which prompts it is made of, what each says when, and the chunks of that.
 *
 * @throws LatentkitError that names the place in the prompt and what was wanted there
 */
export function readPrompt(prompt: string, { style, lexicons, negative = false, ...steps }: ReadOptions): ReadPrompt {
  checkLength(prompt)
  style.check?.(prompt)
  const read = new Map<string, ReturnType<PromptStyle['chunks']>[]>()
  const readOnce = (text: string) => {
    const known = read.get(text) ?? lexicons.map((lexicon, i) => style.chunks(text, lexicon, i))
    read.set(text, known)
    return known
  }
  const phrases = (negative ? [{ text: prompt, weight: 1 }] : style.phrases(prompt)).map(({ text, weight }) => {
    const stages = style.stages(text, steps).map(({ until, text }) => ({ until, readings: readOnce(text) }))
    const count = Math.max(...stages.flatMap(({ readings }) => readings.map(({ chunks }) => chunks.length)))
    const places = Array.from({ length: count }, (_, i) => i)
    const chunkAt = (reading: { chunks: readonly Chunk[] }, i: number, encoder: number) =>
      reading.chunks[i] ?? readOnce('')[encoder]!.chunks[0]!
    return {
      weight,
      stages: stages.map(({ until, readings }) => ({
        until,
        chunks: places.map(i => readings.map((reading, encoder) => chunkAt(reading, i, encoder))),
      })),
    }
  })
  const leftOut = Math.max(0, ...[...read.values()].flatMap(readings => readings.map(({ leftOut }) => leftOut)))
  return { phrases, leftOut }
}
