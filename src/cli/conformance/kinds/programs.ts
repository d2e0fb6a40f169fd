import { z } from 'zod'
import { LatentkitError } from '../../../platform/errors.js'
import { openDevice } from '../../../runtime/device.js'
import { type HostTensor, type HostTensors, hostIntegers, hostTensor } from '../../../runtime/host-tensor.js'
import type { WeightSource } from '../../../runtime/weights/numbers.js'
import { type Program, type Scope, trace } from '../../../tensor/program.js'
import type { Spec, Tensor } from '../../../tensor/tensor.js'
import type { Rename } from '../../../weights/rename.js'
import type { Case, StoredTensor } from '../case.js'
import type { Value } from '../compare.js'
import { type Context, type FileAnswer, NotBuilt, type Tensors } from '../kind.js'

/** A tensor of a case as an input of programs: floats as f32, integers as i64. */
export const hosted = ({ dtype, shape, data }: StoredTensor): HostTensor =>
  /^[IU]/.test(dtype) ? hostIntegers(Array.from(data, Number), shape) : hostTensor(Array.from(data, Number), shape)

/** Traces a network of a case's inputs, whichever there are. */
export const traced = (inputs: HostTensors, network: Network): Program =>
  trace<Record<string, Spec>>(
    Object.fromEntries(Object.entries(inputs).map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
    network,
  )

export type Network = (at: Scope, inputs: Record<string, Tensor>) => Record<string, Tensor>

/** All tensors of the files of role `weights`, those of each file under a prefix of its own where `prefixOf` says so. */
export async function weightsOf(testCase: Case, prefixOf = (_file: string) => ''): Promise<Map<string, HostTensor>> {
  const weights = new Map<string, HostTensor>()
  for (const file of testCase.filesOf('weights')) {
    for (const [name, tensor] of await testCase.tensors(file)) weights.set(prefixOf(file) + name, hosted(tensor))
  }
  return weights
}

/** All tensors of the files of role `input`. */
export async function inputsOf(testCase: Case): Promise<Record<string, HostTensor>> {
  const inputs: Record<string, HostTensor> = {}
  for (const file of testCase.filesOf('input')) {
    for (const [name, tensor] of await testCase.tensors(file)) inputs[name] = hosted(tensor)
  }
  return inputs
}

/** Runs a program once on the device that was asked for. */
export async function runOnce(
  { device: name }: Context,
  program: Program,
  weights: WeightSource,
  inputs: HostTensors,
): Promise<Record<string, HostTensor>> {
  const device = await openDevice(name)
  try {
    return await (await device.compile(program, { weights }))(inputs)
  } finally {
    await device.dispose()
  }
}

/** The expected .safetensors files, filled from computed tensors by name; the frame reports what is missing. */
export async function fill(
  testCase: Case,
  computed: ReadonlyMap<string, Value> | Readonly<Record<string, Value>>,
  listed = testCase.filesOf('expected'),
): Promise<Record<string, FileAnswer>> {
  const values = computed instanceof Map ? computed : new Map<string, Value>(Object.entries(computed))
  const files: Record<string, Tensors> = {}
  for (const file of listed) {
    if (!file.endsWith('.safetensors')) continue
    const names = [...(await testCase.tensors(file)).keys()]
    files[file] = new Map(names.flatMap(name => (values.has(name) ? [[name, values.get(name)!]] : [])))
  }
  return files
}

/** A configuration checked against the schema of what it configures. */
export function configured<Schema extends z.ZodType>(schema: Schema, words: unknown): z.output<Schema> {
  const parsed = schema.safeParse(words)
  if (!parsed.success) throw new NotBuilt(`its configuration: ${z.prettifyError(parsed.error)}`)
  return parsed.data
}

/** The `extra` files of a case that are one folder of a diffusers model: its config and, where they are there, its weights. */
export async function diffusersLayout(testCase: Case): Promise<DiffusersLayout | undefined> {
  const extra = testCase.filesOf('extra')
  const file = extra.find(name => name.endsWith('/config.json'))
  if (file === undefined) return undefined
  const weights = extra.find(name => name.endsWith('.safetensors'))
  const renamed = async (place: string, rename: Rename) => {
    const entries = [...(await testCase.tensors(place))].map(([name, tensor]) => {
      const renamed = rename(name, tensor.shape)
      if (renamed === undefined) throw new LatentkitError(`${place}: "${name}" has no place in the network`)
      return [renamed.name, hosted({ ...tensor, shape: renamed.shape })] as const
    })
    return new Map(entries)
  }
  const config = await testCase.json(file)
  return { file, config, weights: weights === undefined ? undefined : rename => renamed(weights, rename) }
}

interface DiffusersLayout {
  readonly file: string
  readonly config: unknown
  /** Its weights by the names of another layout. */
  readonly weights: ((rename: Rename) => Promise<Map<string, HostTensor>>) | undefined
}
