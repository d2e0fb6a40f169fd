import { type DType, dtypeBytes, elementCount } from '../dtypes.js'
import { Global, Made, type PickleObjects, type PickleValue, type Refuse, Tuple } from './pickle.js'

/** Memory that tensors share, as the pickle describes it. */
export class Storage {
  readonly key: string
  /** Undefined: bytes that the tensor gives a type. */
  readonly dtype: DType | undefined
  /** Number of elements, or of bytes without a type. */
  readonly count: number
  constructor(key: string, dtype: DType | undefined, count: number) {
    this.key = key
    this.dtype = dtype
    this.count = count
  }
}

/** A tensor over a storage: element (i, j, …) lies `offset + i * strides[0] + j * strides[1] + …` elements into it. */
export class View {
  readonly storage: Storage
  readonly dtype: DType
  readonly offset: number
  readonly shape: readonly number[]
  readonly strides: readonly number[]
  constructor(
    storage: Storage,
    dtype: DType,
    { offset, shape, strides }: { offset: number; shape: readonly number[]; strides: readonly number[] },
  ) {
    this.storage = storage
    this.dtype = dtype
    this.offset = offset
    this.shape = shape
    this.strides = strides
  }
}

/** An object whose contents nobody needs. */
const dropped = new Made(undefined)
const parameterDict = new Made('ParameterDict')

const storageTypes = new Map<string, DType | undefined>([
  ['torch DoubleStorage', 'F64'],
  ['torch FloatStorage', 'F32'],
  ['torch HalfStorage', 'F16'],
  ['torch BFloat16Storage', 'BF16'],
  ['torch LongStorage', 'I64'],
  ['torch IntStorage', 'I32'],
  ['torch ShortStorage', 'I16'],
  ['torch CharStorage', 'I8'],
  ['torch ByteStorage', 'U8'],
  ['torch BoolStorage', 'BOOL'],
  ['torch.storage UntypedStorage', undefined],
  ['torch UntypedStorage', undefined],
])
const elementTypes = new Map<string, DType>([
  ['torch float8_e4m3fn', 'F8_E4M3'],
  ['torch float8_e5m2', 'F8_E5M2'],
  ['torch uint16', 'U16'],
  ['torch uint32', 'U32'],
  ['torch uint64', 'U64'],
])

/** The functions that make tensors, by the most arguments that they take. */
const rebuilders = new Map([
  ['torch._utils _rebuild_tensor', 4],
  ['torch._utils _rebuild_tensor_v2', 7],
  ['torch._utils _rebuild_tensor_v3', 8],
])

/** What may be called beside the functions that make tensors; nothing of it is used. */
const harmless = new Set([
  '__builtin__ set',
  'builtins set',
  '_codecs encode',
  'numpy dtype',
  'numpy.core.multiarray scalar',
  'numpy._core.multiarray scalar',
  'numpy.core.multiarray _reconstruct',
  'numpy._core.multiarray _reconstruct',
  'torch device',
])

/** The largest view that may be larger than its storage (a tensor expanded by stride 0). */
const largestExpansion = 16 << 20

/**
 * What the objects of a torch file become; a tensor that does not fit its storage is refused with FileError.
 *
 * @param storages is filled with the storages that the objects name, by their keys
 */
export function torchObjects(storages = new Map<string, Storage>()): PickleObjects {
  return {
    call(name, args, refuse) {
      if (name === 'collections OrderedDict') return orderedDict(args)
      const most = rebuilders.get(name)
      if (most !== undefined) {
        if (args.length > most) refuse(`a tensor is made of ${args.length} things; the file is damaged`)
        return tensor(args, refuse, name.endsWith('v3') ? elementType(args[6]) : undefined)
      }
      if (name === 'torch._utils _rebuild_parameter') return isTensor(args[0]) ? args[0] : undefined
      if (name === 'torch Size') return args[0] instanceof Tuple ? args[0] : undefined
      // Textual-inversion embeddings of the first web interfaces keep theirs in one.
      if (name === 'torch.nn.modules.container ParameterDict') return args.length === 0 ? parameterDict : undefined
      return harmless.has(name) ? dropped : undefined
    },
    persistent(id) {
      const [kind, type, key, , count, view] = id instanceof Tuple ? id.items : []
      if (kind !== 'storage' || !(type instanceof Global) || !storageTypes.has(type.name)) return undefined
      if (typeof key !== 'string' || !/^[\w-]+$/.test(key) || !isCount(count) || (view ?? null) !== null)
        return undefined
      const dtype = storageTypes.get(type.name)
      const known = storages.get(key) ?? new Storage(key, dtype, count)
      if (known.dtype !== dtype || known.count !== count) return undefined
      storages.set(key, known)
      return new Made(known)
    },
    build(object, state) {
      if (object === dropped) return dropped
      if (object === parameterDict) {
        const parameters = state instanceof Map ? state.get('_parameters') : undefined
        return parameters instanceof Map ? parameters : undefined
      }
      // A module's state_dict carries its modules' versions as an attribute.
      const harmlessState = state instanceof Map && [...state.keys()].every(key => key === '_metadata')
      return object instanceof Map && harmlessState ? object : undefined
    },
  }
}

export function isTensor(value: PickleValue | undefined): value is Made<View> {
  return value instanceof Made && value.value instanceof View
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function elementType(value: PickleValue | undefined): DType | undefined {
  return value instanceof Global ? elementTypes.get(value.name) : undefined
}

function orderedDict(args: readonly PickleValue[]): Map<PickleValue, PickleValue> | undefined {
  const map = new Map<PickleValue, PickleValue>()
  if (args.length === 0) return map
  if (args.length > 1 || !Array.isArray(args[0])) return undefined
  for (const pair of args[0]) {
    // Python 2 wrote the entries as a list of two-element lists.
    const items = pair instanceof Tuple ? pair.items : pair
    if (!Array.isArray(items) || items.length !== 2 || typeof items[0] !== 'string') return undefined
    map.set(items[0], items[1])
  }
  return map
}

function tensor(args: readonly PickleValue[], refuse: Refuse, type?: DType): Made<View> | undefined {
  const [made, offset, shape, strides] = args
  const storage = made instanceof Made ? made.value : undefined
  if (!(storage instanceof Storage) || !isCount(offset) || !(shape instanceof Tuple) || !(strides instanceof Tuple)) {
    return refuse('a tensor has no storage, offset, shape or strides; the file is damaged')
  }
  const dtype = type ?? storage.dtype
  if (dtype === undefined) return refuse('a tensor has an unknown element type; save it with a known one')
  const view = new View(storage, dtype, { offset, shape: counts(shape, refuse), strides: counts(strides, refuse) })
  checkExtent(view, refuse)
  return new Made(view)
}

function counts(tuple: Tuple, refuse: Refuse): number[] {
  if (!tuple.items.every(isCount)) refuse('a tensor has sizes or strides that are no counts; the file is damaged')
  return tuple.items as number[]
}

function checkExtent({ storage, dtype, offset, shape, strides }: View, refuse: Refuse): void {
  const size = dtypeBytes[dtype]
  const inStorage = storage.dtype === undefined ? Math.floor(storage.count / size) : storage.count
  const fail: Refuse = reason => refuse(`a tensor of shape [${shape.slice(0, 64)}] ${reason}; the file is damaged`)
  if (shape.length !== strides.length) fail(`has ${strides.length} strides`)
  let elements: number
  try {
    elements = elementCount(shape)
  } catch {
    fail('has an impossible size')
  }
  if (elements === 0) return
  const last = shape.reduce((sum, length, axis) => sum + (length - 1) * strides[axis]!, offset)
  if (!(last < inStorage)) fail(`reaches element ${last} of a storage of ${inStorage}`)
  if (elements * size > Math.max(inStorage * size, largestExpansion))
    fail(`is expanded from a storage of ${inStorage} elements`)
}
