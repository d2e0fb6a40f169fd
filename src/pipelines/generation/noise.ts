import { type TorchGenerator, torchGenerator } from '../../random/index.js'

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
