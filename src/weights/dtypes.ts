/** Element types of stored tensors, by the names that safetensors gives them. */
export type DType = keyof typeof dtypeBytes

/** Bytes of one element. */
export const dtypeBytes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const

export function isDType(name: string): name is DType {
  return Object.hasOwn(dtypeBytes, name)
}

/** The elements of one tensor, row-major and little-endian, at any alignment. */
export interface TensorData {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/** Number of elements of a shape; a RangeError for sizes that are none, for more than 64 of them and beyond 2^53. */
export function elementCount(shape: readonly number[]): number {
  // As many dimensions as torch allows.
  if (shape.length > 64) throw new RangeError(`A tensor has at most 64 dimensions, found ${shape.length}`)
  let count = 1
  for (const size of shape) {
    count *= size
    if (!Number.isSafeInteger(count) || !Number.isSafeInteger(size) || size < 0) {
      throw new RangeError(`The shape [${shape}] is impossible or has more elements than can be counted`)
    }
  }
  return count
}

export type TypedArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array

/** The elements without any loss: smaller floats as float32, booleans as 0 and 1; a view of the bytes where it can be. */
export function toTypedArray({ dtype, bytes }: TensorData): TypedArray {
  if (dtype === 'F16') return float16ToFloat32(new Uint16Array(...aligned(bytes, 2)))
  if (dtype === 'BF16') return bfloat16ToFloat32(new Uint16Array(...aligned(bytes, 2)))
  if (dtype === 'F8_E4M3') return lookUp(bytes, (e4m3Table ??= tableOf(256, e4m3ToNumber)))
  if (dtype === 'F8_E5M2') return lookUp(bytes, (e5m2Table ??= tableOf(256, byte => float16ToNumber(byte << 8))))
  if (dtype === 'BOOL') return bytes.map(byte => (byte ? 1 : 0))
  const array = plainArrays[dtype]
  return new array(...aligned(bytes, array.BYTES_PER_ELEMENT))
}

const plainArrays = {
  F64: Float64Array,
  F32: Float32Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
}

/** The elements as float32; integers beyond 2^24 and float64 are rounded. A view of the bytes where it can be. */
export function toFloat32(tensor: TensorData): Float32Array {
  const values = toTypedArray(tensor)
  return values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number | bigint>, Number)
}

/** The elements as float64; only integers beyond 2^53 are rounded. A view of the bytes where it can be. */
export function toFloat64(tensor: TensorData): Float64Array {
  const values = toTypedArray(tensor)
  return values instanceof Float64Array ? values : Float64Array.from(values as ArrayLike<number | bigint>, Number)
}

/** Arguments of a typed array over these bytes, which are copied only where they are not aligned. */
function aligned(bytes: Uint8Array, size: number): [ArrayBuffer, number, number] {
  const at = bytes.byteOffset % size === 0 ? bytes : bytes.slice()
  return [at.buffer as ArrayBuffer, at.byteOffset, at.byteLength / size]
}

/** A tensor of float32 values, rounded to nearest even where the type is smaller. */
export function fromFloat32(
  values: Float32Array,
  shape: readonly number[],
  dtype: 'F32' | 'F16' | 'BF16' = 'F32',
): TensorData {
  if (values.length !== elementCount(shape)) {
    throw new RangeError(`A tensor of shape [${shape}] needs ${elementCount(shape)} values, found ${values.length}`)
  }
  const array = dtype === 'F16' ? float32ToFloat16(values) : dtype === 'BF16' ? float32ToBfloat16(values) : values
  return { dtype, shape, bytes: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) }
}

let float16Table: Float32Array | undefined
let e4m3Table: Uint32Array | undefined
let e5m2Table: Uint32Array | undefined

function float16Numbers(): Float32Array {
  return (float16Table ??= Float32Array.from({ length: 65536 }, (_, code) => float16ToNumber(code)))
}

/** Float16 bits to float32, every NaN a NaN. */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  return lookUp(bits, new Uint32Array(float16Numbers().buffer))
}

/** The float16 at a byte offset, as a number. */
export function float16At(bytes: Uint8Array, offset: number): number {
  return float16Numbers()[bytes[offset]! | (bytes[offset + 1]! << 8)]!
}

function lookUp(codes: Uint16Array | Uint8Array, table: Uint32Array): Float32Array {
  const out = new Uint32Array(codes.length)
  for (let i = 0; i < codes.length; i++) out[i] = table[codes[i]!]!
  return new Float32Array(out.buffer)
}

function tableOf(length: number, decode: (code: number) => number): Uint32Array {
  return new Uint32Array(Float32Array.from({ length }, (_, code) => decode(code)).buffer)
}

/** IEEE 754 binary16: 1 sign, 5 exponent and 10 mantissa bits. */
function float16ToNumber(code: number): number {
  const sign = code & 0x8000 ? -1 : 1
  const exponent = (code >> 10) & 31
  const mantissa = code & 1023
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (exponent ? (1024 + mantissa) * 2 ** (exponent - 25) : mantissa * 2 ** -24)
}

/** The E4M3 of https://arxiv.org/abs/2209.05433 (torch's float8_e4m3fn): no infinities, all ones is NaN. */
function e4m3ToNumber(code: number): number {
  const sign = code & 0x80 ? -1 : 1
  const exponent = (code >> 3) & 15
  const mantissa = code & 7
  if (exponent === 15 && mantissa === 7) return Number.NaN
  return sign * (exponent ? (8 + mantissa) * 2 ** (exponent - 10) : mantissa * 2 ** -9)
}

/** Float32 to float16 bits, to nearest even; beyond 65504 infinity. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const out = new Uint16Array(values.length)
  for (let i = 0; i < bits.length; i++) {
    const code = bits[i]!
    const sign = (code >>> 16) & 0x8000
    const magnitude = code & 0x7fffffff
    if (magnitude > 0x7f800000) out[i] = sign | 0x7e00
    // 65520, half a step above the largest float16, and more.
    else if (magnitude >= 0x477ff000) out[i] = sign | 0x7c00
    else if (magnitude >= 0x38800000) {
      // A carry of the rounding runs into the exponent, as it should.
      const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
      out[i] = sign | ((rounded - 0x38000000) >>> 13)
    } else {
      // Below 2^-14 steps are 2^-24 wide: adding 1.5 * 2^28 in float64 rounds to them, to nearest even.
      out[i] = sign | ((Math.abs(values[i]!) + 402653184 - 402653184) * 16777216)
    }
  }
  return out
}

/** Bfloat16 bits to float32. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) out[i] = bits[i]! << 16
  return new Float32Array(out.buffer)
}

/** Float32 to bfloat16 bits, to nearest even. */
export function float32ToBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const out = new Uint16Array(values.length)
  for (let i = 0; i < bits.length; i++) {
    const code = bits[i]!
    const notANumber = (code & 0x7fffffff) > 0x7f800000
    // Truncating a NaN could leave infinity: keep it quiet instead of rounding it.
    out[i] = notANumber ? (code >>> 16) | 0x40 : (code + 0x7fff + ((code >>> 16) & 1)) >>> 16
  }
  return out
}
