import type { Parameter } from '../tensor/program.js'
import { sizeOf } from '../tensor/shape.js'
import { streamOf } from './streams.js'

/** The numbers with which training starts; each parameter has its own, so that a new one elsewhere moves none. */
export function initialise(parameters: readonly Parameter[], seed: number): Map<string, Float32Array> {
  return new Map(parameters.map(({ name, shape, init }) => [name, draw(init, sizeOf(shape), seed, nameIndex(name))]))
}

function draw(init: Parameter['init'], size: number, seed: number, index: number): Float32Array {
  if (init.kind === 'constant') return new Float32Array(size).fill(init.value)
  const stream = streamOf(seed, 'weights', index)
  return init.kind === 'normal'
    ? stream.normal(init.mean ?? 0, init.std, size)
    : stream.uniform(-init.bound, init.bound, size)
}

/** A number of 32 bits for a name: FNV-1a. */
function nameIndex(name: string): number {
  let hash = 0x811c9dc5
  for (const letter of name) hash = Math.imul(hash ^ letter.codePointAt(0)!, 0x01000193)
  return hash >>> 0
}
