import assert from 'node:assert/strict'
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { openSource } from '#platform'
import { conv2d } from '../../nn/conv.js'
import { add } from '../../tensor/binary.js'
import { matmul } from '../../tensor/matmul.js'
import { trace } from '../../tensor/program.js'
import { f32 } from '../../tensor/tensor.js'
import { testDevice } from '../../testing/device.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { drawing } from '../../testing/values.js'
import { fromFloat32, type TensorData } from '../../weights/dtypes.js'
import { openSafetensors, writeSafetensors } from '../../weights/safetensors.js'
import { type Device, hostTensor, openDevice } from '../index.js'

const size = 16
const zeros = { kind: 'constant', value: 0 } as const
const program = trace({ x: f32(2, size) }, (at, { x }) =>
  add(
    matmul(matmul(x, at.parameter('first', [size, size], zeros)), at.parameter('second', [size, size], zeros)),
    at.parameter('bias', [size], zeros),
  ),
)
/** Numbers that float16 and bfloat16 hold exactly. */
const numbers = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => (((i * seed) % 17) - 8) / 8)
const values = { first: numbers(size * size, 3), second: numbers(size * size, 5), bias: numbers(size, 7) }
const x = numbers(2 * size, 11)

const product = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from({ length: 2 * size }, (_, i) => {
    let total = 0
    for (let k = 0; k < size; k++) total += a[Math.floor(i / size) * size + k]! * b[k * size + (i % size)]!
    return total
  })
const expected = product(product(x, values.first), values.second).map((y, i) => y + values.bias[i % size]!)

const folder = await temporaryFolder()
const device = await testDevice()

const tensors = (dtype: 'F32' | 'F16' | 'BF16') =>
  new Map<string, TensorData>([
    ['first', fromFloat32(values.first, [size, size], dtype)],
    ['second', fromFloat32(values.second, [size, size], dtype)],
    ['bias', fromFloat32(values.bias, [size], dtype)],
  ])

async function assertRuns(weights: Parameters<Device['compile']>[1], on = device): Promise<void> {
  await using run = await on.compile(program, weights)
  const { output } = await run({ x: hostTensor(x, [2, size]) })
  output!.data.forEach((y: number | bigint, i: number) => {
    assert.ok(Math.abs(Number(y) - expected[i]!) < 1e-4, `${i}: ${y}, wanted ${expected[i]}`)
  })
}

for (const dtype of ['F32', 'F16', 'BF16'] as const) {
  test(`${dtype} weights, from a file and from memory, natively and in WebAssembly`, async () => {
    const path = join(folder, `${dtype}.safetensors`)
    await writeSafetensors(path, tensors(dtype))
    const file = await openSafetensors(await openSource(path))
    await assertRuns({ weights: file })
    await assertRuns({ weights: file.tensors })
    await assertRuns({ weights: tensors(dtype) })
    await using wasm = await openDevice('wasm', { threads: 1 })
    await assertRuns({ weights: file }, wasm)
    await file.close()
  })
}

test('files behind symbolic links that leave the folder, in several folders', async () => {
  const blobs = join(folder, 'blobs')
  const snapshot = join(folder, 'snapshots', 'main')
  await mkdir(snapshot, { recursive: true })
  const all = tensors('F32')
  await writeSafetensors(join(blobs, 'a1', 'hash1'), new Map([['first', all.get('first')!]]))
  await writeSafetensors(
    join(blobs, 'hash2'),
    new Map([
      ['second', all.get('second')!],
      ['bias', all.get('bias')!],
    ]),
  )
  await symlink(join(blobs, 'a1', 'hash1'), join(snapshot, 'one.safetensors'))
  await symlink(join('..', '..', 'blobs', 'hash2'), join(snapshot, 'two.safetensors'))
  const files = await Promise.all(
    ['one', 'two'].map(async name => openSafetensors(await openSource(join(snapshot, `${name}.safetensors`)))),
  )
  await assertRuns({ weights: new Map(files.flatMap(file => [...file.tensors])) })
  for (const file of files) await file.close()
})

test('weights that may grow give the same convolution to rounding', async () => {
  const [channels, side] = [320, 16]
  const program = trace({ x: f32(1, channels, side, side) }, (at, { x }) =>
    conv2d(at(''), x, { out: channels, kernel: 3 }),
  )
  const draw = drawing(5)
  const drawn = (...shape: number[]) => hostTensor(Float32Array.from(draw.normal(...shape).data), shape)
  const image = { x: drawn(1, channels, side, side) }
  const weights = new Map([
    ['weight', drawn(channels, channels, 3, 3)],
    ['bias', drawn(channels)],
  ])
  const results: Float32Array[] = []
  for (const weightGrowth of [0, 2 ** 24]) {
    await using device = await openDevice('cpu', { threads: 1, weightGrowth })
    await using run = await device.compile(program, { weights })
    results.push((await run(image)).output!.data as Float32Array)
  }
  const [plain, grown] = results as [Float32Array, Float32Array]
  const length = (values: Float32Array) => Math.hypot(...values.map(v => v / 1e3))
  const relative = length(grown.map((v, i) => v - plain[i]!)) / length(plain)
  assert.ok(relative > 0 && relative < 1e-5, `they differ by ${relative}`)
})

test('a missing weight and one of another shape are named', async () => {
  const some = tensors('F32')
  some.set('bias', fromFloat32(values.bias, [1, size]))
  await assert.rejects(device.compile(program, { weights: some }), /"bias" has shape \[1, 16\], expected \[16\]/)
  some.delete('bias')
  await assert.rejects(device.compile(program, { weights: some }), /there is no "bias" \[16\] among them/)
})

test('weights in fewer bits are less memory and nearly the same numbers, from a file and from memory', async () => {
  const [rows, columns] = [64, 256]
  const wide = trace({ x: f32(1, 3, 4, 4) }, (at, { x }) =>
    conv2d(at('back'), conv2d(at('there'), x, { out: rows * 8, kernel: 3 }), { out: columns, kernel: 1 }),
  )
  const draw = drawing(2)
  const stored = new Map(
    wide.parameters.map(({ name, shape }) => [
      name,
      fromFloat32(Float32Array.from(draw.normal(...shape).data), shape, 'F16'),
    ]),
  )
  const path = join(folder, 'wide.safetensors')
  await writeSafetensors(path, new Map([...stored].map(([name, t]) => [name, { ...t, bytes: async () => t.bytes }])))
  const file = await openSafetensors(await openSource(path))
  const image = hostTensor(draw.normal(1, 3, 4, 4).data, [1, 3, 4, 4])
  const run = async (precision: 'f32' | 'f16' | 'int8' | 'int4', weights: typeof stored | typeof file) => {
    await using executable = await device.compile(wide, { weights, precision })
    return (await executable({ x: image })).output!.data as Float32Array
  }
  const exact = await run('f32', file)
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0))
  for (const [precision, most] of [
    ['f16', 1e-6],
    ['int8', 0.01],
    ['int4', 0.15],
  ] as const) {
    const [fromFile, fromMemory] = [await run(precision, file), await run(precision, stored)]
    assert.ok(norm(fromFile.map((v, i) => v - exact[i]!)) < most * norm(exact), precision)
    assert.ok(norm(fromFile.map((v, i) => v - fromMemory[i]!)) < 1e-6 * norm(exact), precision)
  }
  await file.close()
})
