import { gradientName } from '../../autodiff/gradients.js'
import { add, mul } from '../../tensor/binary.js'
import { constant } from '../../tensor/constant.js'
import { type Program, trace } from '../../tensor/program.js'
import { sum } from '../../tensor/reduce.js'
import { expandTo, reshape } from '../../tensor/reshape.js'
import { open } from '../../tensor/shape.js'
import { concat, slice } from '../../tensor/slice.js'
import { apply, f32, input, type Tensor } from '../../tensor/tensor.js'
import { square } from '../../tensor/unary.js'
import { rewrite } from '../../tensor/walk.js'
import type { Layout } from './layout.js'

/** Input or output of a flattened program: a chunk of a flat array. */
export const chunkName = (array: string, chunk: number): string => `${array}:${chunk}`

/** Output of an update that replaces an array: a graph's outputs cannot have the names of its inputs. */
export const updatedName = (array: string): string => `updated:${array}`

/** What chunks of a device's arrays are a multiple of: the rows of a sum. */
export const rowLength = 1024

/**
 * The program with the parameters of a layout as slices of its flat array, and their gradients joined to a flat one: the
 * state of a device is then few large buffers, whatever the number of parameters. `array` names the inputs.
 */
export function flattenParameters(program: Program, { places, lengths }: Layout, array = 'parameter'): Program {
  const chunks = lengths.map((length, i) => {
    const spec = { name: chunkName(array, i), ...f32(length) }
    return apply(input, [], spec)
  })
  const slices = new Map<Tensor, Tensor>()
  for (const { name, tensor } of program.parameters) {
    const place = places.get(name)
    if (place === undefined) continue
    const { chunk, offset, length, shape } = place
    slices.set(tensor, reshape(slice(chunks[chunk]!, { axis: 0, start: offset, end: offset + length }), shape))
  }
  const names = Object.keys(program.outputs)
  const results = rewrite(Object.values(program.outputs), (node, original) => slices.get(original) ?? node)
  const outputs = new Map(names.map((name, i) => [name, results[i]!]))
  const gradients = [...places.keys()].map(name => [name, outputs.get(gradientName(name))] as const)
  const flat: Record<string, Tensor> = {}
  if (gradients.some(([, gradient]) => gradient !== undefined)) {
    for (const [i, length] of lengths.entries()) flat[chunkName('gradient', i)] = joined(i, length, places, outputs)
    for (const [name] of gradients) outputs.delete(gradientName(name))
  }
  return {
    ...program,
    inputs: { ...program.inputs, ...Object.fromEntries(chunks.map((t, i) => [chunkName(array, i), t])) },
    parameters: program.parameters.filter(({ name }) => !places.has(name)),
    outputs: { ...Object.fromEntries(outputs), ...flat },
  }
}

/** A chunk of the flat gradient, zero where there is none. */
function joined(chunk: number, length: number, places: Layout['places'], outputs: ReadonlyMap<string, Tensor>): Tensor {
  const parts: Tensor[] = []
  let end = 0
  const zerosUntil = (offset: number) => {
    if (offset > end) parts.push(expandTo(constant(0), [offset - end]))
    end = offset
  }
  for (const [name, place] of places) {
    const gradient = outputs.get(gradientName(name))
    if (place.chunk !== chunk || gradient === undefined) continue
    zerosUntil(place.offset)
    parts.push(reshape(gradient, [place.length]))
    end += place.length
  }
  zerosUntil(length)
  return concat(parts, { axis: 0 })
}

/** The sum of squares of all chunks together, row by row so that few numbers are added to a large sum. */
export const sumOfSquaresProgram = (lengths: readonly number[]): Program =>
  trace(Object.fromEntries(lengths.map((length, i) => [chunkName('gradient', i), f32(length)])), (_, chunks) => {
    const rows = Object.values(chunks).map(chunk => reshape(chunk, [chunk.shape[0]! / rowLength, rowLength]))
    return rows.map(x => sum(sum(square(x), { axes: [1] }))).reduce((a, b) => add(a, b))
  })

/** `keep` times the gradients so far and `scale` times new ones. */
export const accumulationProgram: Program = trace(
  { gradient: f32(open), addend: f32(open), keep: f32(), scale: f32() },
  (_, { gradient, addend, keep, scale }) => add(mul(gradient, keep), mul(addend, scale)),
)

/** A tensor as it is, to bring it from one place to another. */
export const copyProgram: Program = trace({ x: f32(open) }, (_, { x }) => x)
