import { type Shape, sameShape, show, sizeOf } from '../tensor/shape.js'
import type { Dtype, Tensor } from '../tensor/tensor.js'

/** Numbers of a tensor at run time, row-major: plain data. */
export type HostTensor =
  | { readonly dtype: 'f32'; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: 'f16'; readonly shape: readonly number[]; readonly data: Uint16Array }
  | { readonly dtype: 'i64'; readonly shape: readonly number[]; readonly data: BigInt64Array }
  | { readonly dtype: 'bool'; readonly shape: readonly number[]; readonly data: Uint8Array }

/** Named tensors, as a program takes and gives them. */
export type HostTensors = Readonly<Record<string, HostTensor>>

/**
 * A tensor of float32 numbers; a single number is a scalar of shape [].
 *
 * @throws RangeError where the numbers do not fill the shape.
 * @example
 * const x = hostTensor([1, 2, 3, 4], [2, 2])
 */
export function hostTensor(
  data: number | ArrayLike<number>,
  shape: Shape = typeof data === 'number' ? [] : [data.length],
): HostTensor {
  const numbers = typeof data === 'number' ? Float32Array.of(data) : data
  return filled({ dtype: 'f32', shape, data: numbers instanceof Float32Array ? numbers : Float32Array.from(numbers) })
}

/** A tensor of 64-bit integers, such as token ids and timesteps; a single number is a scalar of shape []. */
export function hostIntegers(
  data: number | ArrayLike<number>,
  shape: Shape = typeof data === 'number' ? [] : [data.length],
): HostTensor {
  const numbers = typeof data === 'number' ? [data] : data
  return filled({
    dtype: 'i64',
    shape,
    data: BigInt64Array.from({ length: numbers.length }, (_, i) => BigInt(numbers[i]!)),
  })
}

function filled(tensor: HostTensor): HostTensor {
  if (sizeOf(tensor.shape) !== tensor.data.length) {
    throw new RangeError(`${tensor.data.length} numbers do not fill the shape ${show(tensor.shape)}`)
  }
  return tensor
}

const arrays = {
  f32: Float32Array,
  f16: Uint16Array,
  i64: BigInt64Array,
  bool: Uint8Array,
  i8: Int8Array,
  i4: Uint8Array,
  u4: Uint8Array,
} as const

/** A tensor of any dtype over data of the fitting typed array. */
export const hostTensorOf = (dtype: Dtype, shape: readonly number[], data: HostTensor['data']): HostTensor =>
  ({ dtype, shape, data }) as HostTensor

/**
 * Holds what a caller hands in against what a program wants.
 *
 * @throws TypeError for a missing, unknown or wrongly typed input, RangeError for a wrong shape.
 */
export function checkInputs(given: HostTensors, wanted: Readonly<Record<string, Tensor>>): void {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(wanted, name)) {
      throw new TypeError(
        `run: the program has no input "${name}"; it takes ${Object.keys(wanted).join(', ') || 'none'}`,
      )
    }
  }
  let batch: number | undefined
  for (const [name, { dtype, shape }] of Object.entries(wanted)) {
    const tensor = given[name]
    if (tensor === undefined)
      throw new TypeError(`run: the input "${name}" is missing: hand in ${dtype} ${show(shape)}`)
    if (tensor.dtype !== dtype || !(tensor.data instanceof arrays[dtype])) {
      throw new TypeError(`run: the input "${name}" is ${tensor.dtype}, wanted ${dtype} in a ${arrays[dtype].name}`)
    }
    const open = shape.findIndex(size => size < 0)
    if (open >= 0 && batch === undefined) batch = (tensor.shape[open] ?? 0) / -shape[open]!
    const full = shape.map(size => (size < 0 ? -size * batch! : size))
    if (!sameShape(tensor.shape, full) || tensor.data.length !== sizeOf(full)) {
      throw new RangeError(
        `run: the input "${name}" has shape ${show(tensor.shape)} and ${tensor.data.length} numbers, wanted ${show(open < 0 || Number.isInteger(batch) ? full : shape)}`,
      )
    }
  }
}
