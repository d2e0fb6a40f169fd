import { readStored, storedTensors } from '../stored.js'
import { closingOnError, type StoredTensor, type TensorFile, type TensorInfo, wantedTensor } from '../tensor-file.js'
import { type Names, namesOf } from './names.js'

type Half = 'encoder' | 'decoder'
const halves: readonly Half[] = ['encoder', 'decoder']

/** Which half of TAESD a file of plain layers is; undefined for any other. Source: madebyollin/taesd, taesd.py. */
export function taesdHalf({ has, shape }: Names): Half | undefined {
  const pixels = 3
  if (shape('0.weight')?.[1] === pixels && has('14.weight')) return 'encoder'
  return shape('19.weight')?.[0] === pixels && has('1.weight') ? 'decoder' : undefined
}

/**
 * TAESD comes in two files, `taesd_encoder` and `taesd_decoder`: with either the other one is opened as well, where there is
 * one. Any other file stays as it is; closing what comes back closes both.
 *
 * @param open opens a file by its name, or gives undefined where there is none
 */
export async function withOtherHalf(
  file: TensorFile<TensorInfo | StoredTensor>,
  open: (name: string) => Promise<TensorFile<TensorInfo | StoredTensor> | undefined>,
): Promise<TensorFile<TensorInfo | StoredTensor>> {
  const half = taesdHalf(namesOf(file.tensors))
  const name = half && otherName(file.name, half)
  const other = name && (await closingOnError(file, () => open(name)))
  if (!half || !other) return file
  const tensors = new Map<string, StoredTensor>()
  for (const each of [file, other]) {
    const prefix = each === file ? half : halves.find(one => one !== half)
    for (const [name, tensor] of storedTensors(each)) tensors.set(`${prefix}.${name}`, tensor)
  }
  return {
    ...file,
    format: `${file.format} in 2 files`,
    tensors,
    read: tensor => readStored(wantedTensor(file.name, tensors, tensor)),
    async close() {
      await file.close()
      await other.close()
    },
  }
}

/** A file's name with the other half's word in its last part; undefined where it has none. */
function otherName(name: string, half: Half): string | undefined {
  const at = name.lastIndexOf(half)
  if (at < 0 || /[/\\]/.test(name.slice(at))) return undefined
  return `${name.slice(0, at)}${halves.find(one => one !== half)}${name.slice(at + half.length)}`
}
