import type { Numbers } from '../../../conditioning/index.js'
import { type HostTensor, hostTensorOf } from '../../../runtime/host-tensor.js'

/** Rows of numbers that are embedded, each kind of them once however often it is asked for. */
export interface Rows {
  readonly all: readonly Numbers[]
  /** The index of a row, which is added if there is none such. */
  of(numbers: Numbers): number
}

/** Longer arrays are pictures: told apart by which they are, not by what they hold. */
const COMPARED = 4096

/** An empty book of rows. */
export function rows(): Rows {
  const all: Numbers[] = []
  const known = new Map<string, number>()
  const names = new Map<object, string>()
  const nameOf = (values: ArrayLike<number>): string => {
    if (values.length <= COMPARED) return Array.from(values).join(' ')
    const name = names.get(values) ?? `#${names.size}`
    names.set(values, name)
    return name
  }
  return {
    all,
    of(numbers) {
      const key = Object.entries(numbers)
        .map(([name, values]) => `${name}=${nameOf(values)}`)
        .join(';')
      const index = known.get(key) ?? all.push(numbers) - 1
      known.set(key, index)
      return index
    },
  }
}

/** Slices along the first axis of tensors that follow one another, as many in each but the last. */
export function gathered(parts: readonly HostTensor[], indices: readonly number[]): HostTensor {
  const [first] = parts
  const [each, ...shape] = first!.shape as [number, ...number[]]
  const size = first!.data.length / each
  const data = new (first!.data.constructor as new (length: number) => HostTensor['data'])(size * indices.length)
  for (const [i, index] of indices.entries()) {
    const { data: from } = parts[Math.floor(index / each)]!
    const start = (index % each) * size
    data.set(from.subarray(start, start + size) as never, i * size)
  }
  return hostTensorOf(first!.dtype, [indices.length, ...shape], data)
}
