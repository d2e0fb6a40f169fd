import { readersOf } from '../../conditioning/index.js'
import { normal } from '../../nn/initialisers.js'
import { FileError } from '../../platform/errors.js'
import { type Program, reparameterise } from '../../tensor/program.js'
import { concat } from '../../tensor/slice.js'
import { fromFloat32 } from '../../weights/dtypes.js'
import type { TensorInfo } from '../../weights/tensor-file.js'
import type { LearnedWord } from '../../weights/word-file.js'
import type { CheckpointModel } from '../loading/checkpoint-model.js'

/** Where text encoders keep the vectors of their tokens: LDM's, CLIP's and OpenCLIP's, alone or one of several. */
const tables =
  /^(?:cond_stage_model|conditioner\.embedders\.\d+)\.(?:transformer\.token_emb|transformer\.text_model\.embeddings\.token_embedding|model\.token_embedding)\.weight$/

/** Vectors of tokens of a model, and the parameter that holds those of new words below them. */
export interface TokenTable {
  readonly name: string
  readonly width: number
  /** Name of the parameter. */
  readonly words: string
}

/** The tables of a model's token vectors, one a text encoder; none where it takes no text. */
export const tokenTables = (tensors: ReadonlyMap<string, TensorInfo>): TokenTable[] =>
  [...tensors]
    .filter(([name]) => tables.test(name))
    .map(([name, { shape }]) => ({ name, width: shape[1]!, words: name.replace(/weight$/, 'words') }))

/** Puts `count` vectors of new words, a parameter of their own, below each table in a program. */
export const withVectors =
  (tables: readonly TokenTable[], count: number) =>
  (program: Program): Program =>
    reparameterise(program, (at, { name, tensor }) => {
      const table = tables.find(table => table.name === name)
      if (table === undefined) return undefined
      return concat([tensor, at.parameter(table.words, [count, table.width], normal(0.02))], { axis: 0 })
    })

/** Tokens of each word. */
export const countsOf = (learned: readonly LearnedWord[]): Map<string, number> =>
  new Map(learned.map(({ word, width, vectors }) => [word, vectors.length / width]))

/**
 * The model with vectors of words below those of its tokens, in each of its text encoders.
 *
 * @throws FileError where it has none, or a word was learned with another one.
 */
export function withWords(model: CheckpointModel, learned: readonly LearnedWord[]): CheckpointModel {
  const { checkpoint, weights, config } = model
  const tables = tokenTables(weights.tensors)
  if (tables.length === 0) throw new FileError(checkpoint.name, 'takes no text: words cannot be added to it')
  const words = countsOf(learned)
  const count = [...words.values()].reduce((a, b) => a + b, 0)
  const rows = new Map(
    tables.map(({ words: name, width }) => {
      const vectors = [...words].flatMap(([word, count]) => [...vectorsOf(word, { width, count })])
      return [name, fromFloat32(Float32Array.from(vectors), [count, width])] as const
    }),
  )
  /** What a word is in a text encoder of a width. */
  function vectorsOf(word: string, { width, count }: { width: number; count: number }): Float32Array {
    const all = learned.filter(each => each.word === word)
    const found = all.find(each => each.width === width)
    if (found?.vectors.length === count * width) return found.vectors
    const has = all.map(({ vectors, width }) => `${vectors.length / width} of ${width}`).join(' and ')
    throw new FileError(
      checkpoint.name,
      `has tokens ${tables.map(({ width }) => width).join(' and ')} wide and the word ${JSON.stringify(word)} has ${has}: it was learned with another text encoder`,
    )
  }
  return {
    ...model,
    conditions: readersOf(checkpoint.name, config.conditioning, { ...checkpoint.info, words }),
    adapt: withVectors(tables, count),
    weights: {
      tensors: new Map<string, TensorInfo>([...weights.tensors, ...rows]),
      read: async name => rows.get(name) ?? weights.read(name),
    },
  }
}
