import { FileError } from '../platform/errors.js'
import { type DType, dtypeBytes, float32ToFloat16, fromFloat32, type TensorData, toFloat32 } from './dtypes.js'
import { quantise, quantisers } from './gguf/quantise.js'
import type { GgufTensor } from './gguf/write.js'
import type { TensorToWrite } from './safetensors.js'
import { readStored } from './stored.js'
import type { StoredTensor } from './tensor-file.js'

/** Types of numbers in which the weights of a network are computed with, smallest last. */
export type FloatType = 'F32' | 'F16' | 'BF16'

const floats: readonly DType[] = ['F64', 'F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2']
/** Whether a tensor holds numbers that may be rounded, not counts or truths. */
export const isFloat = ({ dtype }: { readonly dtype: DType }): boolean => floats.includes(dtype)

/** Numbers of a tensor that are in memory at a time, where it lies in a file: whole blocks of any type. */
const most = 1 << 20

/** A tensor as it is, to be written. */
export const unchanged = (tensor: StoredTensor): TensorToWrite => ({
  dtype: tensor.dtype,
  shape: tensor.shape,
  bytes: () => encoded(tensor, ({ bytes }) => bytes),
})

/**
 * A tensor to be written in another type, rounded to nearest even.
 *
 * Writing it throws FileError where it holds what float16 cannot: a network of such numbers is damaged.
 */
export function recoded(name: string, tensor: StoredTensor, dtype: FloatType): TensorToWrite {
  if (tensor.dtype === dtype) return unchanged(tensor)
  const bytes = () =>
    encoded(tensor, piece => {
      const written = fromFloat32(toFloat32(piece), piece.shape, dtype)
      if (dtype === 'F16') checkHalves(new Uint16Array(written.bytes.buffer), name, tensor)
      return written.bytes
    })
  return { dtype, shape: tensor.shape, bytes }
}

/** A tensor to be written in blocks of GGUF, `Q8_0` for instance; throws as `recoded` does, for scales are float16. */
export function quantised(name: string, tensor: StoredTensor, type: string): GgufTensor {
  const quantiser = quantisers[type]!
  const bytes = () =>
    encoded(tensor, piece => {
      const values = toFloat32(piece)
      checkHalves(float32ToFloat16(values), name, tensor)
      return quantise(quantiser, values)
    })
  return { type, shape: tensor.shape, bytes }
}

async function* encoded(tensor: StoredTensor, encode: (piece: TensorData) => Uint8Array): AsyncGenerator<Uint8Array> {
  const { dtype, shape, source, begin, end } = tensor
  // What is made when it is read would be made again for every piece.
  if (source.path === undefined) return yield encode(await readStored(tensor))
  const step = most * dtypeBytes[dtype]
  for (let at = begin; at < end; at += step) {
    const to = Math.min(at + step, end)
    const all = to - at === end - begin
    yield encode(
      await readStored({ ...tensor, shape: all ? shape : [(to - at) / dtypeBytes[dtype]], begin: at, end: to }),
    )
  }
}

function checkHalves(halves: Uint16Array, name: string, { source }: StoredTensor): void {
  for (const bits of halves)
    if ((bits & 0x7c00) === 0x7c00)
      throw new FileError(source.name, `"${name}" holds numbers that float16 cannot: it is damaged or has diverged`)
}
