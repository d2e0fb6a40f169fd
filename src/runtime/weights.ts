import { realPath } from '#platform'
import type { TensorBytes } from '../compiler/onnx.js'
import { LatentkitError } from '../platform/errors.js'
import type { Parameter, Program } from '../tensor/program.js'
import { sameShape, show } from '../tensor/shape.js'
import { float32ToFloat16, type TensorData, toFloat32 } from '../weights/dtypes.js'
import type { StoredTensor, TensorFile, TensorInfo } from '../weights/tensor-file.js'
import type { HostTensor } from './host-tensor.js'
import { quantise } from './quantise.js'
import { formIn, scalesOf, type WeightForm, type WeightPrecision, withStoredForms } from './weight-forms.js'

export type Weight = HostTensor | TensorData | StoredTensor

/** Values of parameters by name: a Map, or the `tensors` of an opened .safetensors file. */
export interface WeightSource {
  get(name: string): Weight | undefined
}

/** Where the values of parameters come from: a source, or an opened file of any format. */
export type Weights = WeightSource | Pick<TensorFile<TensorInfo | StoredTensor>, 'tensors' | 'read'>

/** Weights ready to become part of a model. */
export interface LoadedWeights {
  /** The program, with its parameters in the form in which they are stored. */
  readonly program: Program
  readonly bytes: ReadonlyMap<string, TensorBytes>
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array<ArrayBuffer> }[]
  /** The folder that holds all weight files. */
  readonly folder: string | undefined
}

export interface WeightOptions {
  /** Parameters that need no weight. */
  readonly fed: ReadonlySet<string>
  /** Whether the device can read files by itself. */
  readonly filesOnDisk: boolean
  /** In how many bits large weights are held; as float32, and as float16 where they are stored so, by default. */
  readonly precision?: WeightPrecision | undefined
}

/** A model holds 2 GiB at most, its weights included. */
const mostInline = 2 ** 30

/**
 * Finds the weights of a program's parameters.
 *
 * @throws LatentkitError where one is missing, RangeError where its shape differs.
 */
export async function loadWeights(
  program: Program,
  weights: Weights,
  { fed, filesOnDisk, precision = 'f32' }: WeightOptions,
): Promise<LoadedWeights> {
  const inMemory: { name: string; data: Uint8Array<ArrayBuffer> }[] = []
  let inFiles: { name: string; path: string; weight: StoredTensor }[] = []
  const forms = new Map<string, WeightForm>()
  // Whole numbers are made here, in memory; the runtime takes weights from files or from memory, not from both.
  const mayStay = filesOnDisk && (precision === 'f32' || precision === 'f16')
  for (const wanted of program.parameters) {
    const { name } = wanted
    if (fed.has(name)) continue
    const weight = await find(wanted, weights)
    const half = weight.dtype === 'F16' || weight.dtype === 'f16'
    const form = formIn(precision, wanted, half)
    if (form !== 'f32') forms.set(name, form)
    const path = 'source' in weight ? weight.source.path : undefined
    const asItIs = form === (half ? 'f16' : 'f32') && (half || weight.dtype === 'F32')
    if ('source' in weight && path !== undefined && mayStay && asItIs) {
      inFiles.push({ name, path: await realPath(path), weight })
    } else inMemory.push(...(await inForm(name, weight, form)))
  }
  // The others become part of the model itself, as far as it may grow; else all are read.
  if (inMemory.reduce((sum, { data }) => sum + data.length, 0) > mostInline) {
    for (const { name, weight } of inFiles) inMemory.push({ name, data: await read(weight) })
    inFiles = []
  }
  const bytes = new Map<string, TensorBytes>()
  const externalData: { path: string; data: Uint8Array<ArrayBuffer> }[] = []
  for (const { name, data } of inMemory) {
    if (data.length < 128 || inFiles.length > 0) bytes.set(name, { kind: 'inline', data })
    else {
      bytes.set(name, { kind: 'external', file: `memory/${name}`, offset: 0, length: data.length })
      externalData.push({ path: `memory/${name}`, data })
    }
  }
  const folder = commonFolder(inFiles.map(({ path }) => path))
  for (const { name, path, weight } of inFiles) {
    const { begin, end } = weight
    bytes.set(name, { kind: 'external', file: path.slice(folder!.length), offset: begin, length: end - begin })
  }
  return { program: withStoredForms(program, forms), bytes, externalData, folder }
}

async function find({ name, shape }: Parameter, weights: Weights): Promise<Weight> {
  const found = 'get' in weights ? weights.get(name) : weights.tensors.get(name)
  if (found === undefined)
    throw new LatentkitError(`Cannot load the weights: there is no "${name}" ${show(shape)} among them`)
  if (!sameShape(found.shape, shape)) {
    throw new RangeError(`Cannot load the weights: "${name}" has shape ${show(found.shape)}, expected ${show(shape)}`)
  }
  if ('read' in weights && !('source' in found)) return weights.read(name)
  return found as Weight
}

/** A weight in a form, by the names of the parameters that hold it. */
async function inForm(name: string, weight: Weight, form: WeightForm) {
  const bytes = await read(weight)
  const half = weight.dtype === 'F16' || weight.dtype === 'f16'
  if (form === 'f32' || (form === 'f16' && half)) return [{ name, data: bytes }]
  const values = toFloat32({ dtype: half ? 'F16' : 'F32', shape: weight.shape, bytes })
  if (form === 'f16') return [{ name, data: copyOf(float32ToFloat16(values)) }]
  const { numbers, scales } = quantise(values, form)
  return [
    { name, data: numbers },
    { name: scalesOf(name), data: copyOf(scales) },
  ]
}

/** A copy of a weight's bytes: float16 as it is, everything else as float32. */
async function read(weight: Weight): Promise<Uint8Array<ArrayBuffer>> {
  if ('data' in weight) return copyOf(weight.data)
  const { dtype, shape } = weight
  const stored = 'source' in weight ? await weight.source.read(weight.begin, weight.end - weight.begin) : weight.bytes
  return copyOf(dtype === 'F16' ? stored : toFloat32({ dtype, shape, bytes: stored }))
}

const copyOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array<ArrayBuffer> =>
  new Uint8Array(buffer, byteOffset, byteLength).slice()

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
