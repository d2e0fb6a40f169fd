import { constantData } from '../tensor/constant.js'
import type { Program } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import { topological } from '../tensor/walk.js'

/** WebAssembly that computes an elementwise program over flat arrays in place. */
export interface Kernel {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Inputs that are arrays, in the order of the kernel's arguments. */
  readonly arrays: readonly string[]
  /** Inputs that are single numbers, in the order of the kernel's arguments. */
  readonly scalars: readonly string[]
}

// WebAssembly core specification 2.0, section 5.4: binary codes of the vector instructions, after the prefix 0xfd.
const vectorCodes: Readonly<Record<string, number>> = {
  add: 0xe4,
  sub: 0xe5,
  mul: 0xe6,
  div: 0xe7,
  minimum: 0xe8,
  maximum: 0xe9,
  abs: 0xe0,
  neg: 0xe1,
  sqrt: 0xe3,
  equal: 0x41,
  less: 0x43,
  greater: 0x44,
  lessOrEqual: 0x45,
  greaterOrEqual: 0x46,
  not: 0x4d,
  and: 0x4e,
  or: 0x50,
}
const code = { load: 0x00, store: 0x0b, constant: 0x0c, splat: 0x13, select: 0x52 }
const type = { i32: 0x7f, f32: 0x7d, v128: 0x7b }
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

  const parameterCount = 1 + arrays.length + scalars.length
  const locals = new Map(order.map((t, i) => [t, parameterCount + i]))
  const define = (t: Tensor): number[] => [
    ...value(
      t,
      t.inputs.map(x => locals.get(x)!),
    ),
    ...localSet(locals.get(t)!),
  ]
  const value = (t: Tensor, from: readonly number[]): number[] => {
    const data = constantData(t)
    if (data !== undefined)
      return [...vector(code.constant), ...floatBytes(Array.from({ length: lanes }, () => data[0]!))]
    const { name } = t.attributes as { name?: string }
    if (t.op.name === 'input') {
      const array = arrays.indexOf(name!)
      if (array >= 0) return [...localGet(1 + array), ...vector(code.load), ...aligned]
      return [...localGet(1 + arrays.length + scalars.indexOf(name!)), ...vector(code.splat)]
    }
    if (t.op.name === 'where') return [...[from[1]!, from[2]!, from[0]!].flatMap(localGet), ...vector(code.select)]
    const instruction = vectorCodes[t.op.name]
    if (instruction === undefined) {
      throw new TypeError(
        `"${t.op.name}" has no vector instruction here: write the update with ${Object.keys(vectorCodes)}`,
      )
    }
    return [...from.flatMap(localGet), ...vector(instruction)]
  }

  const once = order.filter(t => t.shape.length === 0).flatMap(define)
  const each = order.filter(t => t.shape.length > 0).flatMap(define)
  const stores = outputs.flatMap(([name, t]) => {
    const array = arrays.indexOf(name)
    if (array < 0) throw new TypeError(`The output "${name}" replaces no array: the inputs are ${arrays}`)
    return [...localGet(1 + array), ...localGet(locals.get(t)!), ...vector(code.store), ...aligned]
  })
  const advance = arrays.flatMap((_, i) => [...localGet(1 + i), 0x41, 16, 0x6a, ...localSet(1 + i)])
  // loop { each; stores; advance; br_if (--vectors) } inside `if (vectors)`
  const countDown = [...localGet(0), 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0]
  const loop = [...localGet(0), 0x04, 0x40, 0x03, 0x40, ...each, ...stores, ...advance, ...countDown, 0x0b, 0x0b]
  const body = [...list([[...varint(order.length), type.v128]]), ...once, ...loop, 0x0b]
  const signature = [type.i32, ...arrays.map(() => type.i32), ...scalars.map(() => type.f32)]
  return {
    arrays,
    scalars,
    bytes: Uint8Array.from([
      ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, list([[0x60, ...list(signature.map(t => [t])), ...list([])]])),
      ...section(2, list([[...text('host'), ...text('memory'), 0x02, 0x00, ...varint(1)]])),
      ...section(3, list([[0]])),
      ...section(7, list([[...text('update'), 0x00, 0]])),
      ...section(10, list([[...varint(body.length), ...body]])),
    ]),
  }
}

/** Alignment 2^4 and offset 0 of a memory access. */
const aligned = [4, 0]

function varint(value: number): number[] {
  const out: number[] = []
  let rest = value
  while (rest > 127) {
    out.push((rest & 127) | 128)
    rest >>>= 7
  }
  return [...out, rest]
}

const vector = (instruction: number): number[] => [0xfd, ...varint(instruction)]
const localGet = (index: number): number[] => [0x20, ...varint(index)]
const localSet = (index: number): number[] => [0x21, ...varint(index)]
const list = (items: readonly (readonly number[])[]): number[] => [...varint(items.length), ...items.flat()]
const section = (id: number, content: readonly number[]): number[] => [id, ...varint(content.length), ...content]
const text = (value: string): number[] => [...varint(value.length), ...new TextEncoder().encode(value)]
const floatBytes = (values: readonly number[]): number[] => [...new Uint8Array(Float32Array.from(values).buffer)]
