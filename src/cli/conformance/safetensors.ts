/** TEMPORARY until weights/safetensors stands. */
export interface StoredTensor {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly data: ArrayLike<number> | BigInt64Array
}

export function readSafetensors(bytes: Uint8Array, _name: string): Map<string, StoredTensor> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const length = Number(view.getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))
  const out = new Map<string, StoredTensor>()
  const types: Record<string, new (b: ArrayBuffer) => ArrayLike<number> | BigInt64Array> = {
    F32: Float32Array,
    F64: Float64Array,
    I64: BigInt64Array,
    I32: Int32Array,
    U8: Uint8Array,
    BOOL: Uint8Array,
  }
  for (const [name, entry] of Object.entries<{ dtype: string; shape: number[]; data_offsets: [number, number] }>(
    header,
  )) {
    if (name === '__metadata__') continue
    const [a, b] = entry.data_offsets
    out.set(name, {
      dtype: entry.dtype,
      shape: entry.shape,
      data: new types[entry.dtype]!(bytes.slice(8 + length + a, 8 + length + b).buffer as ArrayBuffer),
    })
  }
  return out
}
