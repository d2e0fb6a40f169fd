import type { Dtype } from '../tensor/tensor.js'
import { float32ToFloat16 } from '../weights/dtypes.js'

/** Numbers as the little-endian bytes of a dtype. */
export function packNumbers(dtype: Dtype | 'f64', data: ArrayLike<number>): Uint8Array {
  switch (dtype) {
    case 'f64':
      return bytesOf(Float64Array.from(data))
    case 'f32':
      return bytesOf(Float32Array.from(data))
    case 'f16':
      return bytesOf(float32ToFloat16(Float32Array.from(data)))
    case 'i64':
      return bytesOf(BigInt64Array.from({ length: data.length }, (_, i) => BigInt(data[i]!)))
    case 'bool':
      return Uint8Array.from(data, x => (x ? 1 : 0))
    case 'i8':
      return bytesOf(Int8Array.from(data))
    case 'i4':
    case 'u4':
      return nibbles(data)
  }
}

const bytesOf = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** Two numbers of -8 to 7, or of 0 to 15, a byte, the first in the low half: ONNX's INT4 and UINT4. */
export function nibbles(data: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(Math.ceil(data.length / 2))
  for (let i = 0; i < data.length; i++) out[i >> 1]! |= (data[i]! & 15) << (4 * (i & 1))
  return out
}
