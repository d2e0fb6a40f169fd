import { FileError } from '../platform/errors.js'
import { quoted, type TensorInfo } from './tensor-file.js'

/**
 * Checks that a file holds the tensors that a network wants, before any is read.
 *
 * Throws FileError with the first tensor that differs, found and wanted, and the numbers of all.
 *
 * @param what the network, as messages call it
 * @param prefix what the file puts before the network's own names
 */
export function expectTensors(
  file: { readonly name: string; readonly tensors: ReadonlyMap<string, TensorInfo> },
  wanted: ReadonlyMap<string, readonly number[]>,
  { what, prefix = '' }: { what: string; prefix?: string },
): void {
  const missing: string[] = []
  const different: string[] = []
  for (const [name, shape] of wanted) {
    const found = file.tensors.get(prefix + name)?.shape
    if (!found) missing.push(`${quoted(prefix + name)} is missing (wanted [${shape}])`)
    else if (!sameShape(found, shape))
      different.push(`${quoted(prefix + name)} has shape [${found}], wanted [${shape}]`)
  }
  const [first] = [...different, ...missing]
  if (first === undefined) return
  throw new FileError(
    file.name,
    `cannot load ${what}: ${first}; of ${wanted.size} tensors ${missing.length} are missing and ${different.length} have another shape. ` +
      `This is a file of another architecture: choose the config that it was made with`,
  )
}

/** Whether two shapes are equal. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis])
}
