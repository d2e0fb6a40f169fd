import { FileError, LatentkitError } from '../../../platform/errors.js'
import { type TensorData, toTypedArray } from '../../../weights/dtypes.js'
import type { GgufFile } from '../../../weights/gguf/gguf.js'
import type { GgufScalar, GgufValue } from '../../../weights/gguf/header.js'
import { openWeights } from '../../../weights/open-weights.js'
import { underPrefix } from '../../../weights/rename.js'
import type { TensorFile } from '../../../weights/tensor-file.js'
import type { Case } from '../case.js'
import type { Value } from '../compare.js'
import type { FileAnswer, JsonValue, Kind } from '../kind.js'

/** Files of weights, good and malformed: what is in them, or that they are refused. */
export const formats: Kind = {
  kind: 'formats',
  recognises: testCase => testCase.filesOf('input').length > 0,
  async run(testCase) {
    const files: Record<string, FileAnswer> = {}
    const verdicts: Record<string, string | undefined> = {}
    const listed: Record<string, JsonValue> = {}
    for (const file of testCase.filesOf('input')) {
      const must = mustOf(testCase, file)
      if (must !== 'load') {
        verdicts[file] = await refusal(testCase, file, must)
        continue
      }
      const { tensors, values } = await readFile(testCase, file)
      const expected = expectedOf(testCase, file)
      if (expected !== undefined) files[expected] = await checkedTypes(testCase, expected, tensors)
      else listed[file] = Object.fromEntries([...tensors].map(([name, tensor]) => [name, described(tensor)]))
      const metadata = testCase.files[file]?.metadata
      if (typeof metadata === 'string') files[metadata] = Object.fromEntries([...values].map(([k, v]) => [k, plain(v)]))
    }
    // One file of a case may list the values of all inputs that have no file of their own.
    const list = testCase.filesOf('expected').find(file => file.endsWith('.json') && files[file] === undefined)
    if (list !== undefined) files[list] = await onlyListed(testCase, list, listed)
    return { files, verdicts }
  },
}

type Must = 'load' | 'be refused' | 'either'

function mustOf(testCase: Case, file: string): Must {
  const { must, about } = testCase.files[file]!
  const words = typeof must === 'string' ? must : String(about).includes('must be refused') ? 'be refused' : 'load'
  if (!words.includes('be refused')) return 'load'
  return /\bor\b/.test(words.replace(/\(.*?\)/g, '')) ? 'either' : 'be refused'
}

/** The expected tensors of an input: named by its entry, or in the words about it. */
function expectedOf(testCase: Case, file: string): string | undefined {
  const { expected, about } = testCase.files[file]!
  if (typeof expected === 'string') return expected
  return testCase.filesOf('expected').find(name => String(about).includes(name))
}

/** What is wrong with the verdict on a file that is to be refused in words, without values in the way. */
async function refusal(testCase: Case, file: string, must: Must): Promise<string | undefined> {
  try {
    await readFile(testCase, file)
    return must === 'either' ? undefined : 'is loaded, expected to be refused'
  } catch (error) {
    if (error instanceof FileError) return undefined
    return `is refused by accident: ${error}`
  }
}

async function readFile(
  testCase: Case,
  name: string,
): Promise<{ tensors: Map<string, TensorData>; values: ReadonlyMap<string, GgufValue> }> {
  const { path } = testCase.files[name]!
  const file = await openWeights(testCase.locate(name))
  try {
    const below: TensorFile = Array.isArray(path) ? underPrefix(file, `${path.join('.')}.`) : file
    const tensors = new Map<string, TensorData>()
    for (const tensor of below.tensors.keys()) tensors.set(tensor, await below.read(tensor))
    return { tensors, values: 'values' in file ? (file as GgufFile).values : new Map() }
  } finally {
    await file.close()
  }
}

async function checkedTypes(
  testCase: Case,
  expected: string,
  tensors: ReadonlyMap<string, TensorData>,
): Promise<Map<string, Value>> {
  const answer = new Map<string, Value>()
  for (const [name, tensor] of tensors) answer.set(name, { shape: tensor.shape, data: toTypedArray(tensor) })
  for (const [name, { dtype }] of await testCase.tensors(expected)) {
    const found = tensors.get(name)?.dtype
    // What a file of blocks holds is expected as float32, small floats included.
    const widened = dtype === 'F32' && (found === 'F16' || found === 'BF16')
    if (found !== undefined && found !== dtype && !widened) {
      throw new LatentkitError(`${expected}:${name} is of type ${dtype}, found ${found}`)
    }
  }
  return answer
}

const torchNames: Partial<Record<string, string>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F8_E4M3: 'float8_e4m3fn',
  F8_E5M2: 'float8_e5m2',
  BOOL: 'bool',
}

function described(tensor: TensorData): JsonValue {
  const { dtype, shape } = tensor
  const values = Array.from(toTypedArray(tensor) as ArrayLike<number | bigint>, value =>
    dtype === 'BOOL' ? value === 1 : typeof value === 'bigint' ? String(value) : value,
  )
  const name = torchNames[dtype] ?? dtype.replace('U', 'uint').replace('I', 'int')
  return { dtype: name, shape, values }
}

function plain({ type, value }: GgufValue): JsonValue {
  const of = (scalar: GgufScalar): JsonValue =>
    typeof scalar === 'bigint' ? String(scalar) : typeof scalar === 'object' ? scalar.map(of) : scalar
  return { type, value: of(value) }
}

/** A case need not list every input; one that it leaves out was read and that is all. */
async function onlyListed(testCase: Case, list: string, listed: Record<string, JsonValue>): Promise<JsonValue> {
  const names = Object.keys(Object(await testCase.json(list)))
  return Object.fromEntries(Object.entries(listed).filter(([name]) => names.includes(name)))
}
