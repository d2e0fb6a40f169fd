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
  }
}

const bytesOf = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
