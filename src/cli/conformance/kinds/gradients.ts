import { z } from 'zod'
import type { HostTensor } from '../../../runtime/host-tensor.js'
import type { Case } from '../case.js'
import type { Value } from '../compare.js'
import { vector } from '../kind.js'

// How the training cases tell gradients and parameters: norms and samples in a listed order, masks, batches in a row.

/** Parameters as a training state starts from them. */
export const starting = (parameters: ReadonlyMap<string, HostTensor>) =>
  [...parameters].map(([name, { shape, data }]) => ({ name, shape, data: data as Float32Array }))

/** Arrays of a training state with the shapes of their parameters. */
export const shaped = (
  arrays: ReadonlyMap<string, Float32Array>,
  like: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): Map<string, Value> => new Map([...arrays].map(([name, data]) => [name, { shape: like.get(name)!.shape, data }]))

/** Batch k of inputs that hold one after another. */
export const batchOf = (batches: Record<string, HostTensor>, k: number): Record<string, HostTensor> =>
  Object.fromEntries(
    Object.entries(batches).map(([name, { dtype, shape, data }]) => {
      const size = data.length / shape[0]!
      return [name, { dtype, shape: shape.slice(1), data: data.slice(k * size, (k + 1) * size) } as HostTensor]
    }),
  )

/** Elements to be compared, by tensor: where gradients are no rounding noise. */
export async function maskOf(testCase: Case): Promise<Map<string, ArrayLike<number | bigint>>> {
  const masks = new Map<string, ArrayLike<number | bigint>>()
  for (const file of testCase.filesOf('mask')) {
    for (const [name, { data }] of await testCase.tensors(file)) masks.set(name, data)
  }
  return masks
}

/** The file of role `expected` with lists of parameter names by `key`; undefined where there is none. */
export async function namesIn<Key extends string>(
  testCase: Case,
  keys: readonly Key[],
): Promise<{ file: string; names: Record<Key, string[]> } | undefined> {
  const schema = z.object(Object.fromEntries(keys.map(key => [key, z.array(z.string())])))
  for (const file of testCase.filesOf('expected')) {
    if (!file.endsWith('.json')) continue
    const parsed = schema.safeParse(await testCase.json(file))
    if (parsed.success) return { file, names: parsed.data as Record<Key, string[]> }
  }
  return undefined
}

/** All parameters of ours, in the order in which the case lists those that it knows. */
export function inOrder(parameters: Iterable<string>, order: readonly string[]): string[] {
  const ours = [...parameters]
  const listed = order.filter(name => ours.includes(name))
  return [...listed, ...ours.filter(name => !listed.includes(name))]
}

/** Scalars are lists of one number in the reference set. */
export const listed = ({ shape, data }: Value): Value => ({ shape: shape.length === 0 ? [1] : shape, data })

export const normsOf = (names: readonly string[], values: ReadonlyMap<string, Value>): Value =>
  vector(names.map(name => Math.sqrt(sumOfSquares(values.get(name)!.data))))

function sumOfSquares(data: Value['data']): number {
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += Number(data[i]) ** 2
  return sum
}

/** 64 values of each tensor, at flat positions floor(i n / 64). */
export function samplesOf(names: readonly string[], values: ReadonlyMap<string, Value>): Value {
  const data = names.flatMap(name => {
    const { data } = values.get(name)!
    return Array.from({ length: 64 }, (_, i) => Number(data[Math.floor((i * data.length) / 64)]))
  })
  return { shape: [names.length, 64], data }
}
