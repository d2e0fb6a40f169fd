import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  bfloat16ToFloat32,
  elementCount,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  fromFloat32,
  toFloat32,
  toFloat64,
} from './dtypes.js'

const all16 = Uint16Array.from({ length: 65536 }, (_, i) => i)

/** The code whose value is nearest, of two equally near ones the even one: the definition, without bit tricks. */
function nearest(value: number, decode: (bits: Uint16Array) => Float32Array): number {
  const magnitudes = decode(all16.subarray(0, 32768))
  let low = 0
  let high = magnitudes.findIndex(x => !Number.isFinite(x))
  // Infinity takes the place of the next step after the largest finite number.
  const of = (code: number) =>
    Number.isFinite(magnitudes[code]) ? magnitudes[code]! : 2 * magnitudes[code - 1]! - magnitudes[code - 2]!
  const magnitude = Math.abs(value)
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (of(middle) <= magnitude) low = middle
    else high = middle
  }
  const [below, above] = [magnitude - of(low), of(high) - magnitude]
  const code = below < above || (below === above && low % 2 === 0) ? low : high
  return Object.is(Math.sign(value), -1) || Object.is(value, -0) ? code + 32768 : code
}

test('every float16 and bfloat16 survives the way to float32 and back; NaN stays NaN', () => {
  for (const [decode, encode] of [
    [float16ToFloat32, float32ToFloat16],
    [bfloat16ToFloat32, float32ToBfloat16],
  ] as const) {
    const values = decode(all16)
    const back = encode(values)
    for (let code = 0; code < 65536; code++) {
      if (Number.isNaN(values[code]!)) assert.ok(Number.isNaN(decode(back.subarray(code, code + 1))[0]!))
      else assert.equal(back[code], code)
    }
  }
  assert.deepEqual(
    [...float16ToFloat32(Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00))],
    [1, -2, 65504, 2 ** -24, Number.POSITIVE_INFINITY],
  )
})

test('float32 is rounded to the nearest float16 and bfloat16, to even where two are equally near', () => {
  const anyFloat = fc.oneof(
    fc.float({ noNaN: true }),
    fc.float({ min: -70000, max: 70000, noNaN: true }),
    fc.float({ min: Math.fround(-1e-4), max: Math.fround(1e-4), noNaN: true }),
    fc
      .nat(32766)
      .map(code => (float16ToFloat32(Uint16Array.of(code))[0]! + float16ToFloat32(Uint16Array.of(code + 1))[0]!) / 2),
  )
  fc.assert(
    fc.property(anyFloat.filter(Number.isFinite), number => {
      const value = Float32Array.of(number)
      assert.equal(float32ToFloat16(value)[0], nearest(value[0]!, float16ToFloat32), `float16 of ${value[0]}`)
      assert.equal(float32ToBfloat16(value)[0], nearest(value[0]!, bfloat16ToFloat32), `bfloat16 of ${value[0]}`)
    }),
    { numRuns: 2000 },
  )
})

test('8-bit floats: limits and special values of both kinds', () => {
  const of = (dtype: 'F8_E4M3' | 'F8_E5M2', ...bytes: number[]) => [
    ...toFloat32({ dtype, shape: [bytes.length], bytes: Uint8Array.from(bytes) }),
  ]
  assert.deepEqual(of('F8_E4M3', 0x38, 0x7e, 0xfe, 0x01, 0x7f, 0x80), [1, 448, -448, 2 ** -9, Number.NaN, -0])
  assert.deepEqual(of('F8_E5M2', 0x3c, 0x7b, 0x01, 0x7c, 0xfc), [
    1,
    57344,
    2 ** -16,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ])
})

test('integers, booleans and unaligned bytes', () => {
  const bytes = new Uint8Array(17)
  new DataView(bytes.buffer).setBigInt64(1, -3n, true)
  new DataView(bytes.buffer).setBigInt64(9, 2n ** 53n + 1n, true)
  const long = { dtype: 'I64', shape: [2], bytes: bytes.subarray(1) } as const
  assert.deepEqual([...toFloat64(long)], [-3, 2 ** 53])
  assert.deepEqual([...toFloat32(long)], [-3, 2 ** 53])
  assert.deepEqual([...toFloat32({ dtype: 'BOOL', shape: [3], bytes: Uint8Array.of(0, 1, 255) })], [0, 1, 1])
  assert.deepEqual([...toFloat32({ dtype: 'U16', shape: [1], bytes: Uint8Array.of(0, 255, 255).subarray(1) })], [65535])
  const odd = new Uint8Array(9)
  new DataView(odd.buffer).setFloat32(1, 1.5, true)
  assert.deepEqual([...toFloat32({ dtype: 'F32', shape: [2], bytes: odd.subarray(1) })], [1.5, 0])
  assert.deepEqual([...toFloat64({ dtype: 'F32', shape: [2], bytes: odd.subarray(1) })], [1.5, 0])
})

test('shapes are counted or refused, and values must fit them', () => {
  assert.equal(elementCount([]), 1)
  assert.equal(elementCount([3, 0]), 0)
  for (const shape of [[-1, -1], [0.5, 2], [2 ** 40, 2 ** 40], [2 ** 40, 2 ** 40, 0], new Array(65).fill(1)]) {
    assert.throws(() => elementCount(shape), RangeError)
  }
  assert.throws(() => fromFloat32(new Float32Array(3), [2]), /needs 2 values, found 3/)
})
