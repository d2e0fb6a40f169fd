import { type TorchGenerator, torchGenerator } from '../../random/index.js'
import type { Noise } from '../../samplers/index.js'
import type { Batch } from './stage.js'

/** The chance of a batch: each of its pictures draws by its own seed alone. */
export interface BatchNoise {
  /** Unit normals for the start, then for whatever a sampler draws. */
  readonly start: Noise
  readonly next: Noise
}

/** The noise of a batch's seeds. */
export function noiseOf({ seeds, shape }: Batch): BatchNoise {
  const [, ...one] = shape
  const length = one.reduce((a, b) => a * b)
  const generators = seeds.map(torchGenerator)
  const draw = () => joined(generators.map(generator => generator.randn(length)))
  return { start: draw, next: draw }
}

/** Sets the chance of conditions, such as which picture is retrieved, apart from that of the picture's noise. */
const conditionSeed = 0x9e3779b9

/** The chance of a picture's conditions. */
export const conditionChance = (seed: number): TorchGenerator => torchGenerator((seed ^ conditionSeed) >>> 0)

/** Arrays one after the other. */
export function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
