import { emitProgram } from '../compiler/emit.js'
import { lower } from '../compiler/lower.js'
import type { Target } from '../compiler/target.js'
import type { Program } from '../tensor/program.js'
import type { ModelSpec } from './engine-calls.js'
import { loadWeights, type WeightSource } from './weights.js'

export interface CompileOptions {
  readonly target: Target
  readonly weights: WeightSource
  /** Parameters that are fed in every run. */
  readonly fed: ReadonlySet<string>
  readonly filesOnDisk: boolean
}

/** A program as the model of a session. */
export async function compileModel(
  program: Program,
  { target, weights, fed, filesOnDisk }: CompileOptions,
): Promise<Omit<ModelSpec, 'state'>> {
  const loaded = await loadWeights(program, weights, { except: fed, filesOnDisk })
  const { bytes } = emitProgram(lower(loaded.program, target), { weights: name => loaded.bytes.get(name) })
  return { bytes, externalData: loaded.externalData, folder: loaded.folder, training: target.training }
}
