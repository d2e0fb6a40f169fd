import { nibbles } from '../../compiler/pack.js'
import { LatentkitError } from '../../platform/errors.js'
import type { Parameter } from '../../tensor/program.js'
import { sameShape, show } from '../../tensor/shape.js'
import type { Dtype } from '../../tensor/tensor.js'
import { float16ToFloat32, float32ToFloat16, type TensorData, toFloat32 } from '../../weights/dtypes.js'
import type { StoredTensor, TensorFile, TensorInfo } from '../../weights/tensor-file.js'
import type { HostTensor } from '../host-tensor.js'
import { blockParameters, type WeightForm } from './forms.js'
import type { StoredWeight } from './precision.js'
import { quantise } from './quantise.js'

/** Values of a parameter: in memory, as a file has them, or by their place in one. */
export type Weight = HostTensor | TensorData | StoredTensor

/** Values of parameters by name: a Map, or the `tensors` of an opened .safetensors file. */
export interface WeightSource {
  get(name: string): Weight | undefined
}

/** Where the values of parameters come from: a source, or an opened file of any format. */
export type Weights = WeightSource | Pick<TensorFile<TensorInfo | StoredTensor>, 'tensors' | 'read'>

/** A parameter's weight, where it was found. */
export interface FoundWeight extends StoredWeight {
  readonly dtype: Weight['dtype']
  /** Its place in a file, where it has one. */
  readonly stored: StoredTensor | undefined
  readonly read: () => Promise<Weight>
}

/**
 * A parameter's weight among others.
 *
 * @throws LatentkitError where there is none, RangeError where its shape differs.
 */
export function foundWeight(parameter: Parameter, weights: Weights): FoundWeight {
  const { name, shape } = parameter
  const info = 'get' in weights ? weights.get(name) : weights.tensors.get(name)
  if (info === undefined)
    throw new LatentkitError(`Cannot load the weights: there is no "${name}" ${show(shape)} among them`)
  if (!sameShape(info.shape, shape)) {
    throw new RangeError(`Cannot load the weights: "${name}" has shape ${show(info.shape)}, expected ${show(shape)}`)
  }
  const half = info.dtype === 'F16' || info.dtype === 'f16'
  const stored = 'source' in info ? (info as StoredTensor) : undefined
  const elsewhere = 'read' in weights && stored === undefined
  const read = async () => (elsewhere ? weights.read(name) : (info as Weight))
  return { parameter, half, blocks: stored?.blocks?.form, dtype: info.dtype, stored, read }
}

/** Numbers of a parameter in memory. */
export interface HeldNumbers {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: Dtype
  readonly data: Numbers | Int8Array<ArrayBuffer> | Uint8Array<ArrayBuffer>
}

/** Float32, or the bits of float16. */
type Numbers = Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>

/** A weight in a form, by the parameters that hold it. */
export async function inForm({ parameter, stored, read }: FoundWeight, form: WeightForm): Promise<HeldNumbers[]> {
  const { name, shape } = parameter
  if (typeof form === 'string') {
    const values = await numbersOf(await read())
    const data = form === 'f32' ? widest(values) : narrowest(values)
    return [{ name, shape, dtype: form, data }]
  }
  // A form that is the file's own was taken from there.
  const asItIs = stored?.blocks?.form === form ? stored.blocks : undefined
  const blocks = asItIs ? await asItIs.read() : quantise(widest(await numbersOf(await read())), form)
  const { numbers, scales, offsets } = blocks
  const all = [form.bits === 4 ? nibbles(numbers) : numbers, scales, offsets]
  return blockParameters(parameter, form).map(({ name, shape, dtype }, i) => ({ name, shape, dtype, data: all[i]! }))
}

/** A copy of a weight's numbers: the bits of float16 as they are, everything else as float32. */
async function numbersOf(weight: Weight): Promise<Numbers> {
  if ('data' in weight) return weight.dtype === 'f16' ? weight.data.slice() : Float32Array.from(weight.data, Number)
  const { dtype, shape } = weight
  const bytes = 'source' in weight ? await weight.source.read(weight.begin, weight.end - weight.begin) : weight.bytes
  if (dtype === 'F16') return new Uint16Array(bytes.slice().buffer)
  const values = toFloat32({ dtype, shape, bytes })
  // What was not made here may be somebody's: it moves to the worker.
  return dtype === 'F32' ? values.slice() : (values as Float32Array<ArrayBuffer>)
}

const widest = (values: Numbers): Float32Array<ArrayBuffer> =>
  values instanceof Uint16Array ? (float16ToFloat32(values) as Float32Array<ArrayBuffer>) : values

const narrowest = (values: Numbers): Uint16Array<ArrayBuffer> =>
  values instanceof Uint16Array ? values : (float32ToFloat16(values) as Uint16Array<ArrayBuffer>)
