import { FileError } from '../platform/errors.js'
import { quoted, type TensorFile, type TensorInfo, wantedTensor } from './tensor-file.js'

/** How a tensor of one layout is called and shaped in another; undefined: the other layout has no such tensor. */
export type Rename = (name: string, shape: readonly number[]) => { name: string; shape: readonly number[] } | undefined

/**
 * The tensors of one layout by their names and shapes in another, the entries otherwise unchanged (places included).
 *
 * Throws FileError for a tensor that the other layout does not know, and where two would get one name.
 *
 * @param what the network, as messages call it
 */
export function renameTensors<T extends TensorInfo>(
  file: { readonly name: string; readonly tensors: ReadonlyMap<string, T> },
  rename: Rename,
  what: string,
): { tensors: Map<string, T>; originals: Map<string, string> } {
  const tensors = new Map<string, T>()
  const originals = new Map<string, string>()
  for (const [original, info] of file.tensors) {
    const renamed = rename(original, info.shape)
    if (!renamed) {
      throw new FileError(
        file.name,
        `cannot translate ${what}: its config has no place for ${quoted(original)} [${info.shape}]`,
      )
    }
    const other = originals.get(renamed.name)
    if (other !== undefined) {
      throw new FileError(
        file.name,
        `cannot translate ${what}: ${quoted(original)} and ${quoted(other)} are the same tensor`,
      )
    }
    originals.set(renamed.name, original)
    tensors.set(renamed.name, { ...info, shape: renamed.shape })
  }
  return { tensors, originals }
}

/** A file read by the names of another layout; throws as `renameTensors` does. */
export function renamedFile<T extends TensorInfo>(file: TensorFile<T>, rename: Rename, what: string): TensorFile<T> {
  const { tensors, originals } = renameTensors(file, rename, what)
  return {
    name: file.name,
    format: file.format,
    metadata: file.metadata,
    tensors,
    async read(name) {
      const { shape } = wantedTensor(file.name, tensors, name)
      return { ...(await file.read(originals.get(name)!)), shape }
    },
    close: () => file.close(),
  }
}

/** The tensors whose names begin with `prefix`, by the rest of their names. */
export const below = <T>(tensors: ReadonlyMap<string, T>, prefix: string): Map<string, T> =>
  new Map([...tensors].flatMap(([name, t]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), t]] : [])))

/** The same of a file. */
export function underPrefix<T extends TensorInfo>(file: TensorFile<T>, prefix: string): TensorFile<T> {
  return { ...file, tensors: below(file.tensors, prefix), read: name => file.read(prefix + name) }
}
