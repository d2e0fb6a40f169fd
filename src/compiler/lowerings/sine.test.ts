import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostTensor, openDevice } from '../../runtime/index.js'
import { evaluate } from '../../tensor/evaluate.js'
import { trace } from '../../tensor/program.js'
import { f32 } from '../../tensor/tensor.js'
import { cos, sin } from '../../tensor/unary.js'
import { lower } from '../lower.js'

const count = 4001
const waves = lower(
  trace({ x: f32(count) }, (_, { x }) => ({ sin: sin(x), cos: cos(x) })),
  { device: 'webgpu', training: false, contrib: true },
)
/** Both signs, multiples of pi / 2 to rounding among them, as far as timesteps reach. */
const angles = Float32Array.from({ length: count }, (_, i) => ((i - 2000) * Math.PI) / 4)

/** Fails where a wave is further off than that. */
function assertClose(of: 'sin' | 'cos', values: ArrayLike<number | bigint>, tolerance: number): void {
  for (const [i, x] of angles.entries())
    assert.ok(Math.abs(Number(values[i]) - Math[of](x)) < tolerance, `${of} ${x} is ${values[i]}`)
}

test('sine and cosine as WebGPU gets them are those of the definition', () => {
  const given = { x: { shape: [count], data: Float64Array.from(angles) } }
  const [sines, cosines] = evaluate([waves.outputs.sin!, waves.outputs.cos!], given)
  assertClose('sin', sines!.data, 1e-9)
  assertClose('cos', cosines!.data, 1e-9)
})

test('and to the last bits in f32', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  await using run = await device.compile(waves)
  const results = await run({ x: hostTensor(angles) })
  assertClose('sin', results.sin!.data, 2e-7)
  assertClose('cos', results.cos!.data, 2e-7)
})
