import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { grad } from '../autodiff/grad.js'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { sum } from '../tensor/reduce.js'
import { sizeOf } from '../tensor/shape.js'
import { f32 } from '../tensor/tensor.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { drawing } from '../testing/values.js'
import { fromFloat32, toFloat32 } from '../weights/dtypes.js'
import { writeSafetensors } from '../weights/safetensors.js'
import { headMaps, layerDistance, lpips } from './lpips.js'
import { lpipsName, openLpips } from './weights.js'

/** Numbers of torchvision's networks without their classifiers, and channels where LPIPS looks at them. */
const published = {
  vgg: { parameters: 14_714_688, channels: [64, 128, 256, 512, 512] },
  alex: { parameters: 2_469_696, channels: [64, 192, 384, 256, 256] },
  squeeze: { parameters: 722_496, channels: [64, 128, 256, 384, 384, 512, 512] },
} as const

for (const [network, { parameters, channels }] of Object.entries(published)) {
  test(`LPIPS over ${network} has the parameters of the published network and heads`, () => {
    const program = trace({ a: f32(1, 3, 64, 64), b: f32(1, 3, 64, 64) }, (at, { a, b }) =>
      lpips(at, a, b, { network: network as keyof typeof published }),
    )
    const sizes = (prefix: string) =>
      program.parameters.flatMap(({ name, shape }) => (name.startsWith(prefix) ? [sizeOf(shape)] : []))
    assert.equal(
      sizes('features.').reduce((a, b) => a + b),
      parameters,
    )
    assert.deepEqual(sizes('lin'), [...channels])
    assert.deepEqual(program.outputs.output!.shape, [1])
  })
}

test('equal features are no distance apart, dead ones have a gradient', () => {
  const { outputs } = trace({ a: f32(1, 2, 1, 2), b: f32(1, 2, 1, 2) }, (at, { a, b }) => {
    const distance = layerDistance(headMaps(at, [a], [b])[0]!)
    return { distance, gradient: grad(sum(distance), [a])[0]! }
  })
  const of = (...data: number[]) => ({ shape: [1, 2, 1, 2], data: Float64Array.from(data) })
  const weight = { shape: [1, 2, 1, 1], data: Float64Array.of(1, 3) }
  const run = (a: object, b: object) =>
    evaluate(Object.values(outputs), { a: a as never, b: b as never, 'lin0.model.1.weight': weight }).map(t => t.data)
  const [same] = run(of(1, 0, 2, 0), of(1, 0, 2, 0))
  assert.equal(same![0], 0)
  // The first position turns from (1, 0) to (0, 1), the second is dead in one and in the other not.
  const [distance, gradient] = run(of(1, 0, 0, 0), of(0, 0, 1, 5))
  assert.ok(Math.abs(distance![0]! - (1 + 3 + 3) / 2) < 1e-6)
  assert.ok(gradient!.every(Number.isFinite))
})

test('tensors of published files are found under the names of each layout', async t => {
  assert.equal(lpipsName('net.slice3.10.weight'), 'features.10.weight')
  assert.equal(lpipsName('features.3.squeeze.bias'), 'features.3.squeeze.bias')
  assert.equal(lpipsName('module.lin2.model.1.weight'), 'lin2.model.1.weight')
  assert.equal(lpipsName('classifier.6.weight'), undefined)
  assert.equal(lpipsName('lins.0.model.1.weight'), undefined)

  const folder = await temporaryFolder(t)
  const write = async (file: string, ...names: string[]) => {
    const tensor = { ...fromFloat32(Float32Array.from(drawing(1).normal(1, 3, 1, 1).data), [1, 3, 1, 1]) }
    const path = join(folder, file)
    await writeSafetensors(path, new Map(names.map(name => [name, { ...tensor, bytes: async () => tensor.bytes }])))
    return path
  }
  const files = [
    await write('network.safetensors', 'features.0.weight', 'classifier.0.weight'),
    await write('heads.safetensors', 'lin0.model.1.weight'),
  ]
  const weights = await openLpips(files)
  assert.deepEqual([...weights.keys()].sort(), [
    'features.0.weight',
    'lin0.model.1.weight',
    'scaling_layer.scale',
    'scaling_layer.shift',
  ])
  assert.deepEqual([...toFloat32(weights.get('scaling_layer.scale')!)], [0.458, 0.448, 0.45].map(Math.fround))
  const other = await write('other.safetensors', 'encoder.weight')
  await assert.rejects(openLpips([other]), /other\.safetensors holds nothing of LPIPS, wanted .*features\.0\.weight/)
})
