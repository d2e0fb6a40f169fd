import { constantData } from '../../tensor/constant.js'
import type { Program } from '../../tensor/program.js'
import type { Tensor } from '../../tensor/tensor.js'
import { topological } from '../../tensor/walk.js'
import { advance, get, load, moduleOf, repeat, set, store, valueType, vector, vectorCode } from './webassembly.js'

/** WebAssembly that computes an elementwise program over flat arrays in place. */
export interface Kernel {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Inputs that are arrays, in the order of the kernel's arguments. */
  readonly arrays: readonly string[]
  /** Inputs that are single numbers, in the order of the kernel's arguments. */
  readonly scalars: readonly string[]
}

/** Operations that are one vector instruction, by the name that both have. */
const instructions = [
  ...(['add', 'sub', 'mul', 'div', 'minimum', 'maximum', 'abs', 'neg', 'sqrt'] as const),
  ...(['equal', 'less', 'lessOrEqual', 'greater', 'greaterOrEqual', 'not', 'and', 'or'] as const),
]
const lanes = 4

/** What stands for an array of any length while an elementwise program is traced. */
export const laneShape: readonly number[] = [lanes]

/**
 * Compiles a program whose inputs are arrays (of shape `laneShape`) and scalars, and whose outputs replace the arrays of
 * their names, to a SIMD loop: `update(vectors, ...byte offsets of the arrays, ...scalars)` over the imported memory
 * `host.memory`. Each array is read and written once, whatever is computed in between.
 *
 * @throws TypeError for operations that are not elementwise or not known here.
 */
export function compileElementwise(program: Program): Kernel {
  const inputs = Object.entries(program.inputs)
  const arrays = inputs.filter(([, t]) => t.shape.length > 0).map(([name]) => name)
  const scalars = inputs.filter(([, t]) => t.shape.length === 0).map(([name]) => name)
  const outputs = Object.entries(program.outputs)
  const order = topological(outputs.map(([, t]) => t))

  const parameters = [valueType.i32, ...arrays.map(() => valueType.i32), ...scalars.map(() => valueType.f32)]
  const locals = new Map(order.map((t, i) => [t, parameters.length + i]))
  const define = (t: Tensor): number[] => [...value(t), ...set(locals.get(t)!)]
  const value = (t: Tensor): number[] => {
    const data = constantData(t)
    if (data !== undefined) return [...vector(vectorCode.constant), ...bytesOf(new Float32Array(lanes).fill(data[0]!))]
    if (t.op.name === 'input') {
      const name = t.attributes.name as string
      if (arrays.includes(name)) return [...get(1 + arrays.indexOf(name)), ...load()]
      return [...get(1 + arrays.length + scalars.indexOf(name)), ...vector(vectorCode.splat)]
    }
    const from = t.inputs.map(x => get(locals.get(x)!))
    if (t.op.name === 'where') return [...from[1]!, ...from[2]!, ...from[0]!, ...vector(vectorCode.select)]
    const instruction = instructions.find(name => name === t.op.name)
    if (instruction === undefined) {
      throw new TypeError(`"${t.op.name}" has no vector instruction: write it with ${instructions.join(', ')}, where`)
    }
    return [...from.flat(), ...vector(vectorCode[instruction])]
  }
  const stores = outputs.flatMap(([name, t]) => {
    const array = arrays.indexOf(name)
    if (array < 0) throw new TypeError(`The output "${name}" replaces no array: the inputs are ${arrays}`)
    return [...get(1 + array), ...get(locals.get(t)!), ...store()]
  })
  const bytes = moduleOf('update', {
    parameters,
    vectors: order.length,
    body: [
      ...order.filter(t => t.shape.length === 0).flatMap(define),
      ...repeat(0, [
        ...order.filter(t => t.shape.length > 0).flatMap(define),
        ...stores,
        ...arrays.flatMap((_, i) => advance(1 + i, lanes * 4)),
      ]),
    ],
  })
  return { arrays, scalars, bytes }
}

const bytesOf = (floats: Float32Array): Uint8Array => new Uint8Array(floats.buffer)
