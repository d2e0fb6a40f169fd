import { FileError } from '../../platform/errors.js'
import { elementCount, fromFloat32, type TensorData, toFloat32 } from '../dtypes.js'
import { quoted, type TensorFile, type TensorInfo } from '../tensor-file.js'
import type { Adapter, AdapterParts, Part } from './adapter.js'
import { type ModuleNames, weightsByName } from './names.js'
import { openClipModules, type WeightPlace } from './open-clip-names.js'
import { elementwise, kronecker, type Matrix, matrix, product, transposed, tucker } from './products.js'
import type { WrittenScale } from './written-scale.js'

/** An adapter and how much of it is added: by a number, or by the name of the weight that gets it. */
export interface WeighedAdapter {
  readonly adapter: Adapter
  readonly weight: number | ((name: string) => number)
}

type Readable<Info extends TensorInfo> = Pick<TensorFile<Info>, 'tensors' | 'read'>

/**
 * A model's weights with adapters in them, one after the other: computed in f64 when they are read, from the files as
 * they are, so that another weight or none is the same files read again.
 *
 * Throws FileError naming modules of an adapter that the model has not, or parts that do not fit.
 */
export function adaptedWeights<Info extends TensorInfo>(
  model: Readable<Info> & { readonly name: string },
  modules: ReadonlyMap<string, ModuleNames>,
  adapters: readonly WeighedAdapter[],
): Readable<Info | TensorInfo> {
  const known = new Map<string, WeightPlace>(openClipModules(model.tensors.keys()))
  for (const [name, weight] of weightsByName(modules)) known.set(name, { weight })
  const changes = new Map<string, Change[]>()
  for (const { adapter, weight: strength } of adapters) {
    const strangers = [...adapter.modules.keys()].filter(module => !known.has(module))
    if (strangers.length > 0) {
      throw new FileError(
        adapter.name,
        `is an adapter of another model: ${model.name} has no ${strangers.slice(0, 3).map(quoted).join(', ')}` +
          `${strangers.length > 3 ? ` and ${strangers.length - 3} more` : ''} of the ${adapter.modules.size} modules that it changes`,
      )
    }
    for (const [module, parts] of adapter.modules) {
      const { weight, third } = known.get(module)!
      const at = typeof strength === 'number' ? strength : strength(weight)
      const add = (name: string, change: Pick<Change, 'bias'>) =>
        changes.set(name, [
          ...(changes.get(name) ?? []),
          { adapter, parts, strength: at, third, written: adapter.scaleOf(module), ...change },
        ])
      const bias = biases.find(part => parts.has(part))
      if (parts.size > (bias === undefined ? 0 : 1)) add(weight, {})
      if (bias !== undefined) add(biasOf(weight, model, adapter.name), { bias })
    }
  }
  const tensors = new Map<string, Info | TensorInfo>(model.tensors)
  for (const weight of changes.keys()) tensors.set(weight, { dtype: 'F32', shape: model.tensors.get(weight)!.shape })
  return {
    tensors,
    async read(name) {
      const stored = await model.read(name)
      const list = changes.get(name)
      if (list === undefined) return stored
      const values = Float64Array.from(toFloat32(stored))
      const [rows = 1, ...rest] = stored.shape
      for (const change of list) {
        const { adapter, parts, third } = change
        const part = await partsReader(adapter, parts)
        const shape = third === undefined ? stored.shape : [rows / 3, ...rest]
        const [start, length] = [(third ?? 0) * elementCount(shape), elementCount(shape)]
        const before = values.slice(start, start + length)
        values.set(changed(before, shape, part, change, name), start)
      }
      return fromFloat32(Float32Array.from(values), stored.shape)
    },
  }
}

/** What an adapter does to a weight, or to one of the three that lie below one another in it. */
interface Change {
  readonly adapter: Adapter
  readonly parts: AdapterParts
  readonly strength: number
  readonly third: number | undefined
  readonly written: WrittenScale | undefined
  /** The part that changes a bias, where it is one that is changed. */
  readonly bias?: Part
}

/** Changes of a module's bias: whole, or a norm's. */
const biases: readonly Part[] = ['diff_b', 'b_norm']

function biasOf(
  weight: string,
  { name: file, tensors }: { readonly name: string; readonly tensors: ReadonlyMap<string, unknown> },
  adapter: string,
): string {
  const bias = weight.replace(/weight$/, 'bias')
  if (tensors.has(bias)) return bias
  throw new FileError(adapter, `is an adapter of another model: it changes ${quoted(bias)}, which ${file} has not`)
}

interface Numbers {
  readonly shape: readonly number[]
  readonly data: Float32Array
}
type Reader = (part: Part) => Numbers | undefined

async function partsReader(adapter: Adapter, parts: AdapterParts): Promise<Reader> {
  const read = new Map<Part, Numbers>()
  for (const [part, name] of parts) {
    const tensor: TensorData = await adapter.read(name)
    read.set(part, { shape: tensor.shape, data: toFloat32(tensor) })
  }
  return part => read.get(part)
}

function changed(
  weight: Float64Array<ArrayBuffer>,
  shape: readonly number[],
  part: Reader,
  { strength, written, bias, adapter: { name: file } }: Change,
  name: string,
): Float64Array<ArrayBuffer> {
  const delta = bias
    ? wholeChange(part(bias))
    : fitting(() => difference(part, shape, written) ?? factored(part, weight, shape))
  if (delta?.data.length !== weight.length || (!bias && delta.rows !== shape[0])) {
    throw new FileError(file, `its parts for ${quoted(name)} do not make a change of the shape [${shape}]`)
  }
  const magnitude = part('magnitude') ?? part('dora_scale')
  if (magnitude === undefined || bias) return weight.map((w, i) => w + strength * delta.data[i]!)
  const moved = weight.map((w, i) => w + delta.data[i]!)
  const outputs = part('magnitude') !== undefined || magnitude.shape[0] === shape[0]
  const wanted = outputs ? shape[0]! : shape[1]!
  if (elementCount(magnitude.shape) !== wanted)
    throw new FileError(file, `its magnitudes for ${quoted(name)} are ${magnitude.data.length}, wanted ${wanted}`)
  const group = groupOf(shape, outputs)
  const squares = new Float64Array(wanted)
  for (const [i, v] of moved.entries()) squares[group(i)]! += v * v
  // A part of a decomposed change is that part of the way to it: lengths do not scale.
  return weight.map((w, i) => {
    const length = Math.sqrt(squares[group(i)]!)
    const target = length === 0 ? 0 : (moved[i]! * magnitude.data[group(i)]!) / length
    return w + strength * (target - w)
  })
}

/** What a computation gives, undefined where sizes of a file do not fit together. */
function fitting<T>(compute: () => T): T | undefined {
  try {
    return compute()
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** Tells the output, or the input, that a number of a weight [out, in, ...kernel] belongs to. */
function groupOf([, ...rest]: readonly number[], outputs: boolean): (index: number) => number {
  const row = elementCount(rest)
  const kernel = elementCount(rest.slice(1))
  return outputs ? i => Math.floor(i / row) : i => Math.floor((i % row) / kernel)
}

const wholeChange = (numbers: Numbers | undefined): Matrix | undefined =>
  numbers && matrix(numbers.data, numbers.shape[0] ?? 1)

/** (IA)3: outputs or inputs are multiplied by 1 and a bit. Source: LyCORIS, modules/ia3.py. */
function factored(part: Reader, weight: Float64Array, shape: readonly number[]): Matrix | undefined {
  const [factors, onInput] = [part('factors'), part('on_input')]
  const outputs = onInput?.data[0] === 0
  if (factors === undefined || factors.data.length !== (outputs ? shape[0] : shape[1])) return undefined
  const group = groupOf(shape, outputs)
  return matrix(
    weight.map((w, i) => w * factors.data[group(i)]!),
    shape[0]!,
  )
}

/** What an adapter adds to a weight [out, in, ...kernel] as a matrix; undefined where parts are missing. */
function difference(part: Reader, shape: readonly number[], written: WrittenScale | undefined): Matrix | undefined {
  const get = (name: Part): Matrix | undefined => wholeChange(part(name))
  const once = part('scalar')?.data[0] ?? 1
  const [scale, alpha = written?.alpha] = [part('scale')?.data[0], part('alpha')?.data[0]]
  const scaled = (m: Matrix, rank: number): Matrix => {
    const divisor = written?.rooted ? Math.sqrt(rank) : rank
    return multiplied(m, once * (scale ?? (alpha === undefined ? 1 : alpha / divisor)))
  }
  /** A product of two factors, or of three with a core between. */
  const factors = (left: Part, right: Part, core?: Part): Matrix | undefined => {
    const [a, b, c] = [get(left), get(right), core && get(core)]
    if (a === undefined || b === undefined) return undefined
    return c ? tucker(c, a, b) : product(a, b)
  }

  const all = get('diff') ?? get('w_norm')
  if (all) return multiplied(all, once)

  const [up, down, mid] = [get('up'), get('down'), get('mid')]
  if (up && down) return scaled(mid ? tucker(mid, transposed(up), down) : product(up, down), down.rows)

  const [first, second] = [factors('hada_w1_a', 'hada_w1_b', 'hada_t1'), factors('hada_w2_a', 'hada_w2_b', 'hada_t2')]
  if (first && second) return scaled(elementwise(first, second), get('hada_w1_b')!.rows)

  const small = get('lokr_w1') ?? factors('lokr_w1_a', 'lokr_w1_b')
  const large = get('lokr_w2') ?? factors('lokr_w2_a', 'lokr_w2_b', 'lokr_t2')
  if (small === undefined || large === undefined) return undefined
  // Where both factors are whole there is no rank, and LyCORIS leaves alpha aside.
  const rank = (get('lokr_w2_b') ?? get('lokr_w1_b'))?.rows
  const whole = kronecker(small, large, elementCount(shape.slice(2)))
  return rank === undefined ? multiplied(whole, once) : scaled(whole, rank)
}

const multiplied = (m: Matrix, by: number): Matrix => (by === 1 ? m : { ...m, data: m.data.map(v => v * by) })
