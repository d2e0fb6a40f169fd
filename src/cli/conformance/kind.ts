import type { Case } from './case.js'
import type { Value } from './compare.js'
import type { Tolerance } from './tolerance.js'

/**
 * One kind of reference case. To add a kind (or a part of one): write a file in `kinds/` that exports a `Kind`, and add
 * it to the table in `kinds/index.ts`. The frame finds the cases, reads the expected files, compares every tensor by the
 * case's own tolerances and counts them; a kind only says which cases are its own and computes what was asked.
 */
export interface Kind {
  /** `kind` of the case.json files. */
  readonly kind: string
  /**
   * Whether this code computes such a case: by its source objects, its configuration and the roles of its files, never
   * by its name, seed or size. Left out: all cases of `kind`. Throw nothing here.
   */
  recognises?(testCase: Case): boolean
  /** Computes the expected files. Throw NotBuilt where a part is missing; anything else that is thrown is a failure. */
  run(testCase: Case, context: Context): Promise<Answer>
  /**
   * A tolerance that the case tells in words or files under a name that is no tensor's; undefined: as the case's table
   * says. `entry` is the tensor's name, for JSON the path of keys (`vgg.distance`).
   */
  tolerance?(testCase: Case, file: string, entry: string): Tolerance | undefined
}

export interface Context {
  readonly device: 'cpu' | 'wasm' | 'webgpu'
}

export interface Answer {
  /** By expected file: the tensors of a .safetensors file, or the whole value of a .json file. */
  readonly files: Readonly<Record<string, FileAnswer>>
  /**
   * The same again (as far as it makes sense), computed through each `extra` layout of the case. Every file of role
   * `extra` must have been read through `testCase` for the case to be equal.
   */
  readonly layouts?: readonly Readonly<Record<string, FileAnswer>>[]
  /** Of inputs for which no values are given but a verdict (files to be refused): undefined if right, else what is wrong. */
  readonly verdicts?: Readonly<Record<string, string | undefined>>
}

export type FileAnswer = Tensors | JsonValue
export type Tensors = ReadonlyMap<string, Value>
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue }

/** Thrown by a kind for what latentkit cannot do yet; the message says what is missing. */
export class NotBuilt extends Error {
  override name = 'NotBuilt'
}

/** A one-dimensional value. */
export function vector(data: ArrayLike<number>): Value {
  return { shape: [data.length], data }
}
