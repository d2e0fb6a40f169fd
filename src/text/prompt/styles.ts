import { a1111Chunks } from './a1111-chunks.js'
import { a1111Weights } from './attention.js'
import { type Chunk, chunkOf, type Lexicon } from './chunk.js'
import { comfyuiChunks } from './comfyui-chunks.js'
import { promptPhrases } from './composition.js'
import { type PromptSteps, promptStages } from './edits.js'
import { type Emphasised, fromEmpty, restoringMean } from './emphasis.js'
import { sdcppChunks } from './sdcpp-chunks.js'
import { sdcppWeights } from './sdcpp-weights.js'

/** What weighing has at hand. */
export interface Encoders {
  /** Widths of the encoders whose vectors lie beside one another. */
  readonly widths: readonly number[]
  /** What they make of no text, [length, sum of widths]. */
  readonly empty: Float32Array
}

/** How a tool reads what people write into its prompts. */
export interface PromptStyle {
  /** Whether prompts name LoRAs in it: `<lora:name:weight>`. */
  readonly namesNetworks?: true
  /** Throws LatentkitError for a prompt that cannot be read, naming the place in it. */
  check?(prompt: string): void
  /** The prompts whose answers are put together. */
  phrases(prompt: string): readonly { readonly text: string; readonly weight: number }[]
  /** What such a prompt says at each step. */
  stages(text: string, steps: PromptSteps): readonly { readonly until: number; readonly text: string }[]
  /** What a model's text encoder reads, which is the `encoder`th of it. */
  chunks(
    text: string,
    lexicon: Lexicon,
    encoder: number,
  ): { readonly chunks: readonly Chunk[]; readonly leftOut: number }
  /** What of an empty negative prompt is zeros for a model that knows them for no text: all, or its tokens' vectors. */
  readonly zeroesEmpty?: 'all' | 'context'
  /** The vectors of one place in all stages of a prompt, by their weights. */
  weigh(emphasised: Emphasised, encoders: Encoders): Float32Array
}

const all = (chunks: readonly Chunk[]) => ({ chunks, leftOut: 0 })
const alone = (text: string) => [{ text, weight: 1 }]
const throughout = (text: string) => [{ until: Number.POSITIVE_INFINITY, text }]

/**
 * The ways in which prompts are read. `plain`: as diffusers and Stable Diffusion's own scripts do, one chunk and no
 * marks. `a1111`: weights, BREAK, AND, edits over steps, any number of chunks. `comfyui`: weights, any number of chunks.
 * `sdcpp`: weights, BREAK, any number of chunks, each of which keeps its mean.
 */
export const promptStyles = {
  plain: {
    phrases: alone,
    stages: throughout,
    chunks: (text, lexicon) => {
      const { spelling, length } = lexicon
      const ids = spelling.tokens(text)
      const kept = ids.slice(0, length - 2).map(id => ({ id, weight: 1 }))
      return { chunks: [chunkOf(kept, lexicon)], leftOut: ids.length - kept.length }
    },
    zeroesEmpty: 'all',
    weigh: ({ z }) => z,
  },
  a1111: {
    namesNetworks: true,
    check: a1111Weights,
    phrases: promptPhrases,
    stages: promptStages,
    chunks: (text, lexicon) => all(a1111Chunks(text, lexicon)),
    zeroesEmpty: 'all',
    weigh: (emphasised, { widths }) => restoringMean(emphasised, widths),
  },
  comfyui: {
    phrases: alone,
    stages: throughout,
    chunks: (text, lexicon) => all(comfyuiChunks(text, lexicon)),
    weigh: (emphasised, { empty }) => fromEmpty(emphasised, empty),
  },
  sdcpp: {
    namesNetworks: true,
    check: sdcppWeights,
    phrases: alone,
    stages: throughout,
    chunks: (text, lexicon, encoder) => all(sdcppChunks(text, lexicon, encoder)),
    zeroesEmpty: 'context',
    // conditioner.hpp, apply_token_weights: one mean for all encoders.
    weigh: emphasised => restoringMean(emphasised, [emphasised.width]),
  },
} satisfies Record<string, PromptStyle>

/** Name of a style in `promptStyles`. */
export type PromptStyleName = keyof typeof promptStyles
