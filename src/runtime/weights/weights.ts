import { collectGarbage, realPath } from '#platform'
import type { TensorBytes } from '../../compiler/onnx.js'
import type { Program } from '../../tensor/program.js'
import { sizeOf } from '../../tensor/shape.js'
import type { StoredTensor } from '../../weights/tensor-file.js'
import { type HostTensor, type HostTensors, hostTensorOf } from '../host-tensor.js'
import { withStoredForms } from './forms.js'
import { type FoundWeight, foundWeight, type HeldNumbers, inForm, type Weights } from './numbers.js'
import { formsUnder, type WeightPrecision } from './precision.js'
import { slabs } from './slabs.js'

/** Weights ready to become part of a model. */
export interface LoadedWeights {
  /** The program, with its parameters in the form in which they are stored. */
  readonly program: Program
  /** Whether weights are held in fewer bits and made float32 in every run. */
  readonly small: boolean
  readonly bytes: ReadonlyMap<string, TensorBytes>
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array<ArrayBuffer> }[]
  /** Weights that are no part of the model: it is fed them in every run. */
  readonly held: HostTensors
  /** The folder that holds all weight files. */
  readonly folder: string | undefined
}

/** How weights are to be held. */
export interface WeightOptions {
  /** Parameters that need no weight. */
  readonly fed: ReadonlySet<string>
  /** Whether the device can read files by itself. */
  readonly filesOnDisk: boolean
  /** Whether the device computes from JavaScript's memory without a copy. */
  readonly inPlace?: boolean
  /** In how many bits large weights are held; as float32, and as float16 where they are stored so, by default. */
  readonly precision?: WeightPrecision | undefined
  /** What the program is a part of: how small a weight is depends on all others. */
  readonly network?: Program | undefined
}

/** A model holds 2 GiB at most, its weights included. */
const mostInline = 2 ** 30

/** Bytes that are let go of before the collector is asked to hurry. */
const mostGarbage = 2 ** 26

/**
 * Finds the weights of a program's parameters, and makes them what they are held as one by one.
 *
 * @throws LatentkitError where one is missing, RangeError where its shape differs.
 */
export async function loadWeights(
  program: Program,
  weights: Weights,
  { fed, filesOnDisk, inPlace = false, precision = 'f32', network = program }: WeightOptions,
): Promise<LoadedWeights> {
  const all = network.parameters.filter(({ name }) => !fed.has(name)).map(parameter => foundWeight(parameter, weights))
  const formsOfAll = formsUnder(precision, all)
  const own = new Set(program.parameters.map(({ name }) => name))
  const found = all.filter(({ parameter }) => own.has(parameter.name))
  const forms = new Map([...formsOfAll].filter(([name]) => own.has(name)))
  const small = precision !== 'f32' && [...forms.values()].some(form => form !== 'f32')
  const holds = small && inPlace
  // The runtime takes weights from files or from memory, not from both; what it is fed is neither.
  const mayStay =
    filesOnDisk && ![...forms.values()].some(form => typeof form !== 'string' && (form.bits === 4 || !holds))
  const held: Record<string, HostTensor> = {}
  const place = slabs()
  const inMemory: HeldNumbers[] = []
  const inFiles: WeightInFile[] = []
  let garbage = 0
  for (const weight of found) {
    const { parameter, half, dtype, stored } = weight
    const form = forms.get(parameter.name)!
    const asItIs = form === (half ? 'f16' : 'f32') && (half || dtype === 'F32')
    if (stored?.source.path !== undefined && mayStay && asItIs) {
      inFiles.push({ weight, path: await realPath(stored.source.path), stored })
      continue
    }
    for (const numbers of await inForm(weight, form)) {
      // The runtime's tensors for Node have no type of 4 bits.
      if (!holds || numbers.dtype === 'i4' || numbers.dtype === 'u4') inMemory.push(numbers)
      else held[numbers.name] = hostTensorOf(numbers.dtype, numbers.shape, place(numbers.data as Float32Array))
    }
    garbage += 4 * sizeOf(parameter.shape)
    if (garbage < mostGarbage) continue
    collectGarbage()
    garbage = 0
  }
  return { program: withStoredForms(program, forms), small, held, ...(await inModel(inMemory, inFiles)) }
}

/** A weight that the runtime reads where it lies. */
interface WeightInFile {
  readonly weight: FoundWeight
  readonly path: string
  readonly stored: StoredTensor
}

/** Where a model finds its weights; those of files are read as well where the others are more than the model may hold. */
async function inModel(
  inMemory: readonly HeldNumbers[],
  inFiles: readonly WeightInFile[],
): Promise<Pick<LoadedWeights, 'bytes' | 'externalData' | 'folder'>> {
  if (inFiles.length > 0 && inMemory.reduce((sum, { data }) => sum + data.byteLength, 0) > mostInline) {
    const read = [...inMemory]
    for (const { weight } of inFiles) read.push(...(await inForm(weight, weight.half ? 'f16' : 'f32')))
    return inModel(read, [])
  }
  const bytes = new Map<string, TensorBytes>()
  const externalData: { path: string; data: Uint8Array<ArrayBuffer> }[] = []
  for (const { name, data: numbers } of inMemory) {
    const data = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)
    if (data.length < 128 || inFiles.length > 0) bytes.set(name, { kind: 'inline', data })
    else {
      bytes.set(name, { kind: 'external', file: `memory/${name}`, offset: 0, length: data.length })
      externalData.push({ path: `memory/${name}`, data })
    }
  }
  const folder = commonFolder(inFiles.map(({ path }) => path))
  for (const { weight, path, stored } of inFiles) {
    const { begin, end } = stored
    const file = path.slice(folder!.length)
    bytes.set(weight.parameter.name, { kind: 'external', file, offset: begin, length: end - begin })
  }
  return { bytes, externalData, folder }
}

/** The longest folder, with its separator at the end, that all paths begin with. */
function commonFolder(paths: readonly string[]): string | undefined {
  const [first, ...others] = paths
  if (first === undefined) return undefined
  let folder = first.slice(0, lastSeparator(first) + 1)
  for (const path of others) {
    while (!path.startsWith(folder)) folder = folder.slice(0, lastSeparator(folder.slice(0, -1)) + 1)
  }
  return folder
}

const lastSeparator = (path: string): number => Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\'))
