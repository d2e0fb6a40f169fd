import type { TensorInfo } from '../tensor-file.js'

/** Names and shapes of tensors, which is all that recognition goes by. */
export type Shapes = ReadonlyMap<string, Pick<TensorInfo, 'shape'>>

/** Questions to the names and shapes of a file. */
export interface Names {
  /** The shape of a tensor. */
  shape(name: string): readonly number[] | undefined
  /** Whether there is a tensor or a module of this name. */
  has(module: string): boolean
  /** Length of a list of modules: how many of `list.0`, `list.1`, … there are without a gap. */
  count(list: string): number
}

/** Prepares the questions: all modules are gathered once. */
export function namesOf(tensors: Shapes): Names {
  const modules = new Set<string>()
  for (const name of tensors.keys()) {
    // From the inside out, until one is met that is known, and with it all around it.
    for (let end = name.length; end > 0; end = name.lastIndexOf('.', end - 1)) {
      const module = name.slice(0, end)
      if (modules.has(module)) break
      modules.add(module)
    }
  }
  return {
    shape: name => tensors.get(name)?.shape,
    has: module => modules.has(module),
    count(list) {
      let length = 0
      while (modules.has(`${list}.${length}`)) length++
      return length
    },
  }
}

/** One value where all are the same, as configurations write them. */
export const same = <T>(values: readonly T[]): T | T[] =>
  values.every(value => value === values[0]) ? values[0]! : [...values]
