import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSource } from '#platform'
import { bytesSource } from '../../platform/sources.js'
import { add } from '../../tensor/binary.js'
import { evaluate } from '../../tensor/evaluate.js'
import { matmul } from '../../tensor/matmul.js'
import { trace } from '../../tensor/program.js'
import { transpose } from '../../tensor/reshape.js'
import { f32 } from '../../tensor/tensor.js'
import { testDevice } from '../../testing/device.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { drawing } from '../../testing/values.js'
import { fromFloat32, toFloat32 } from '../../weights/dtypes.js'
import { openGguf } from '../../weights/gguf/gguf.js'
import { quantise as inBlocks, quantisers } from '../../weights/gguf/quantise.js'
import { writeGguf } from '../../weights/gguf/write.js'
import { hostTensor, openDevice } from '../index.js'
import { loadWeights } from './weights.js'

const width = 256
const draw = drawing(8)
const x = draw.normal(3, width)
const zeros = { kind: 'constant', value: 0 } as const
const device = await testDevice()
const folder = await temporaryFolder()

/** The tensors of both files: blocks of random bits, and what ggml makes of random numbers. */
async function allTypes() {
  const path = join(folder, 'simple.gguf')
  const values = Float32Array.from(draw.normal(4, width).data)
  const simple = Object.entries(quantisers).map(([type, quantiser]) => {
    const tensor = { type, shape: [4, width], bytes: () => inBlocks(quantiser, values) }
    return [type.toLowerCase(), tensor] as const
  })
  await writeGguf(path, new Map(simple))
  const kQuants = new Uint8Array(await readFile(new URL('../../../fixtures/weights/k-quants.gguf', import.meta.url)))
  const files = [await openGguf(await openSource(path)), await openGguf(bytesSource(kQuants))]
  return new Map(files.flatMap(({ tensors }) => [...tensors]))
}
const tensors = await allTypes()
const program = trace({ x: f32(3, width) }, (at, { x }) =>
  Object.fromEntries(
    [...tensors].map(([name, { shape }]) => [
      `${name}.y`,
      matmul(x, transpose(at.parameter(name, shape, zeros), [1, 0])),
    ]),
  ),
)

const length = (values: ArrayLike<number>) => Math.hypot(...Array.from(values))
function assertNear(found: ArrayLike<number>, wanted: ArrayLike<number>, most: number, name: string) {
  const difference = length(Array.from(found, (v, i) => v - wanted[i]!)) / length(wanted)
  assert.ok(difference < most, `${name} is off by ${difference}`)
}

test("every type of GGUF's blocks is held as it lies in the file", async () => {
  const { held, bytes } = await loadWeights(
    program,
    { get: name => tensors.get(name) },
    {
      fed: new Set(),
      filesOnDisk: true,
      inPlace: true,
      precision: 'file',
    },
  )
  for (const [name, { shape, blocks }] of tensors) {
    const { form } = blocks!
    const rows = shape[0]!
    const number = held[name]?.data.byteLength ?? (bytes.get(name) as { length?: number; data?: Uint8Array }).length
    assert.equal(number ?? 0, (rows * width * form.bits) / 8, name)
    assert.equal(held[`${name}.scales`]!.data.length, (rows * width) / form.size, name)
    assert.equal(`${name}.offsets` in held, form.offset, name)
  }
})

for (const where of ['cpu', 'wasm'] as const) {
  test(`blocks give what the widened weights give by the definition: ${where}`, async () => {
    await using other = where === 'wasm' ? await openDevice('wasm', { threads: 1 }) : undefined
    await using run = await (other ?? device).compile(program, { weights: tensors, precision: 'file' })
    const found = await run({ x: hostTensor(x.data, x.shape) })
    const values: Record<string, { shape: readonly number[]; data: Float64Array }> = { x }
    for (const [name, { shape, source, begin, end, dtype }] of tensors) {
      const bytes = await source.read(begin, end - begin)
      values[name] = { shape, data: Float64Array.from(toFloat32({ dtype, shape, bytes })) }
    }
    for (const [name, output] of Object.entries(program.outputs)) {
      const [exact] = evaluate([output], values)
      assertNear(found[name]!.data as Float32Array, exact!.data, 1e-6, name)
    }
  })
}

test('the smaller weights of a network keep more bits, in parts of it as well, and convolutions at least 8', async () => {
  const shapes = { small: [64, 512], middle: [128, 512], matrix: [256, 512], filter: [128, 1024, 1, 1] } as const
  const names = Object.keys(shapes) as (keyof typeof shapes)[]
  const adding = (names: readonly (keyof typeof shapes)[]) =>
    trace({ x: f32(1, 1) }, (at, { x }) =>
      Object.fromEntries(names.map(name => [`${name}.y`, add(at.parameter(name, shapes[name], zeros), x)])),
    )
  const network = adding(names)
  const weights = new Map(
    names.map(name => [name, fromFloat32(Float32Array.from(draw.normal(...shapes[name]).data), shapes[name])]),
  )
  const load = async (precision: 'int8' | 'int4', part = network) => {
    const { program } = await loadWeights(part, weights, { fed: new Set(), filesOnDisk: true, precision, network })
    const numbers = program.parameters.filter(({ name }) => !name.endsWith('.scales'))
    return Object.fromEntries(numbers.map(({ name, dtype }) => [name, dtype]))
  }
  assert.deepEqual(await load('int8'), { small: 'f16', middle: 'i8', matrix: 'i8', filter: 'i8' })
  assert.deepEqual(await load('int4'), { small: 'f16', middle: 'i8', matrix: 'i4', filter: 'i8' })
  assert.deepEqual(await load('int4', adding(['small', 'middle'])), { small: 'f16', middle: 'i8' })
})
