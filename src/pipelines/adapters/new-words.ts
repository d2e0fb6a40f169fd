import { normal } from '../../nn/initialisers.js'
import { type Program, reparameterise } from '../../tensor/program.js'
import { concat } from '../../tensor/slice.js'
import type { TensorInfo } from '../../weights/tensor-file.js'

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
