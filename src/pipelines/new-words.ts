import { normal } from '../nn/initialisers.js'
import { type Program, reparameterise } from '../tensor/program.js'
import { concat } from '../tensor/slice.js'
import type { TensorInfo } from '../weights/tensor-file.js'

/** Where text encoders keep the vectors of their tokens: LDM's and CLIP's. */
const tables = [
  'cond_stage_model.transformer.token_emb.weight',
  'cond_stage_model.transformer.text_model.embeddings.token_embedding.weight',
]

/** Vectors of tokens of a model, and the parameter that holds those of new words below them. */
export interface TokenTable {
  readonly name: string
  readonly width: number
  /** Name of the parameter. */
  readonly words: string
}

/** The table of a model's token vectors; undefined where it takes no text. */
export function tokenTable(tensors: ReadonlyMap<string, TensorInfo>): TokenTable | undefined {
  const name = tables.find(name => tensors.has(name))
  if (name === undefined) return undefined
  return { name, width: tensors.get(name)!.shape[1]!, words: name.replace(/weight$/, 'words') }
}

/** Puts `count` vectors of new words, a parameter of their own, below the table in a program. */
export const withVectors =
  ({ name: table, width, words }: TokenTable, count: number) =>
  (program: Program): Program =>
    reparameterise(program, (at, { name, tensor }) =>
      name === table ? concat([tensor, at.parameter(words, [count, width], normal(0.02))], { axis: 0 }) : undefined,
    )
