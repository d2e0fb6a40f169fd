// The binary format of WebAssembly with vector instructions: core specification 2.0, chapter 5.

export const valueType = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const

/** Codes of vector instructions, after the prefix 0xfd. */
export const vectorCode = {
  load: 0x00,
  store: 0x0b,
  constant: 0x0c,
  shuffle: 0x0d,
  splat: 0x13,
  laneOfDoubles: 0x21,
  equal: 0x41,
  less: 0x43,
  greater: 0x44,
  lessOrEqual: 0x45,
  greaterOrEqual: 0x46,
  not: 0x4d,
  and: 0x4e,
  or: 0x50,
  select: 0x52,
  toDoubles: 0x5f,
  abs: 0xe0,
  neg: 0xe1,
  sqrt: 0xe3,
  add: 0xe4,
  sub: 0xe5,
  mul: 0xe6,
  div: 0xe7,
  minimum: 0xe8,
  maximum: 0xe9,
  addDoubles: 0xf0,
  mulDoubles: 0xf2,
} as const

export function varint(value: number): number[] {
  const out: number[] = []
  let rest = value
  while (rest > 127) {
    out.push((rest & 127) | 128)
    rest >>>= 7
  }
  return [...out, rest]
}

export const vector = (code: number): number[] => [0xfd, ...varint(code)]
/** Four floats at the address on the stack, `offset` bytes on. */
export const load = (offset = 0): number[] => [...vector(vectorCode.load), 4, ...varint(offset)]
export const store = (): number[] => [...vector(vectorCode.store), 4, 0]
export const get = (local: number): number[] => [0x20, ...varint(local)]
export const set = (local: number): number[] => [0x21, ...varint(local)]
/** Adds to a local i32; numbers in instructions are signed, so that bit 6 of the last byte must be 0. */
export const advance = (local: number, by: number): number[] => [
  ...get(local),
  0x41,
  (by & 127) | 128,
  by >> 7,
  0x6a,
  ...set(local),
]

/** Repeats the body as often as the local i32 says, counting it down to 0. */
export const repeat = (local: number, body: readonly number[]): number[] => {
  const countDown = [...get(local), 0x41, 1, 0x6b, 0x22, ...varint(local), 0x0d, 0]
  return [...get(local), 0x04, 0x40, 0x03, 0x40, ...body, ...countDown, 0x0b, 0x0b]
}

export interface WasmFunction {
  readonly parameters: readonly number[]
  readonly result?: number
  /** Vectors among the locals, after the parameters. */
  readonly vectors: number
  readonly body: readonly number[]
}

/** A module over the imported memory `host.memory` that exports one function. */
export function moduleOf(name: string, { parameters, result, vectors, body }: WasmFunction): Uint8Array<ArrayBuffer> {
  const code = [...list([[...varint(vectors), valueType.v128]]), ...body, 0x0b]
  const types = (all: readonly number[]) => list(all.map(t => [t]))
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list([[0x60, ...types(parameters), ...types(result === undefined ? [] : [result])]])),
    ...section(2, list([[...text('host'), ...text('memory'), 0x02, 0x00, ...varint(1)]])),
    ...section(3, list([[0]])),
    ...section(7, list([[...text(name), 0x00, 0]])),
    ...section(10, list([[...varint(code.length), ...code]])),
  ])
}

const list = (items: readonly (readonly number[])[]): number[] => [...varint(items.length), ...items.flat()]
const section = (id: number, content: readonly number[]): number[] => [id, ...varint(content.length), ...content]
const text = (value: string): number[] => [...varint(value.length), ...new TextEncoder().encode(value)]
