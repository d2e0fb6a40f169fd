import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'
import { mul } from '../tensor/binary.js'
import { matmul } from '../tensor/matmul.js'
import { trace } from '../tensor/program.js'
import { sum } from '../tensor/reduce.js'
import { expandTo } from '../tensor/reshape.js'
import { f32, type Tensor } from '../tensor/tensor.js'
import { exp, square, tanh } from '../tensor/unary.js'
import { openWebgpu } from '../testing/webgpu.js'
import { RemoteEngine } from './engine/remote-engine.js'
import { checkFootprint } from './footprint.js'
import { type DeviceName, hostTensor, openDevice } from './index.js'

const side = 512
/** Some tenths of a second of work. */
const slow = trace({ x: f32(side, side) }, (_, { x }) => {
  let y: Tensor = x
  for (let i = 0; i < 30; i++) y = tanh(matmul(y, x))
  return y
})
const slowInput = { x: hostTensor(new Float32Array(side * side).fill(0.001), [side, side]) }

test('timers fire while an execution runs', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  await using run = await device.compile(slow)
  let ticks = 0
  const timer = setInterval(() => ticks++, 5)
  const begin = performance.now()
  await run(slowInput)
  const elapsed = performance.now() - begin
  clearInterval(timer)
  assert.ok(ticks >= Math.min(elapsed / 25, 100), `${ticks} ticks in ${elapsed} ms`)
})

test('an aborted signal stops what has not begun', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  await using run = await device.compile(slow)
  const controller = new AbortController()
  const first = run(slowInput)
  const second = run(slowInput, { signal: controller.signal })
  controller.abort(new Error('enough'))
  await assert.rejects(second, /enough/)
  assert.equal((await first).output!.data.length, side * side)
  await assert.rejects(run(slowInput, { signal: controller.signal }), /enough/)
})

test('a worker that ends rejects every call that waits', async () => {
  const engine = new RemoteEngine()
  const calls = [engine.call('open', ['cpu', 1]), engine.call('readState', [7, 'parameter'])]
  const settled = Promise.allSettled(calls)
  await new Promise(resolve => setImmediate(resolve))
  await engine.terminate()
  for (const { status } of await settled) assert.equal(status, 'rejected')
  await assert.rejects(engine.call('open', ['cpu', 1]), /has been disposed/)
})

test('a process ends by itself, whether its devices were disposed of or not', () => {
  const entry = JSON.stringify(new URL('./index.js', import.meta.url).href)
  for (const end of ['await device.dispose()', '']) {
    const script = `import { openDevice } from ${entry}; const device = await openDevice('cpu'); ${end}`
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 20_000,
      encoding: 'utf8',
    })
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
  }
})

test('devices that are not there say what to install', async () => {
  const elsewhere: [DeviceName, RegExp][] = [
    ['directml', /built without dml .*It needs Windows/],
    ['coreml', /built without coreml .*It needs macOS/],
    ['cuda', /Cannot open the device cuda: .*npm rebuild onnxruntime-node/s],
  ]
  const here = process.platform === 'linux' ? elsewhere : []
  for (const [name, message] of here) await assert.rejects(openDevice(name), message)
  await assert.rejects(openDevice('gpu' as DeviceName), /no device "gpu": choose auto or one of cpu, wasm, webgpu/)
})

test('what is too large for a device is refused with what would fit', () => {
  const program = trace({ x: f32(-1, 4, 256) }, (_, { x }) => exp(square(x)))
  const kibibyte = 1024
  const limits = (buffer: number, total: number) => ({ buffer: buffer * kibibyte, total: total * kibibyte })
  checkFootprint('webgpu', program, limits(16, 48), 4)
  assert.throws(
    () => checkFootprint('webgpu', program, limits(15, 100), 4),
    /its largest tensor, .* \[batch, 4, 256\], .*A batch of 3 instead of 4 would fit/,
  )
  assert.throws(() => checkFootprint('webgpu', program, limits(16, 47), 4), /take 1 MiB together, there are 1 MiB/)
  assert.throws(() => checkFootprint('webgpu', program, limits(2, 100), 1), /50% of it would fit: make the batch/)
})

test('webgpu refuses what does not fit', async t => {
  const webgpu = await openWebgpu({ memory: 2 ** 28 })
  if (typeof webgpu === 'string') return t.skip(webgpu)
  await using gpu = webgpu
  const huge = trace({ x: f32(1) }, (_, { x }) => sum(mul(expandTo(x, [2 ** 16, 2 ** 16]), 2), { axes: [1] }))
  await assert.rejects(
    gpu.compile(huge),
    /its largest tensor, .* takes 16384 MiB, a buffer of this adapter holds \d+ MiB/,
  )
  const many = trace({ x: f32(2 ** 25) }, (_, { x }) => exp(square(x)))
  await assert.rejects(gpu.compile(many), /take 384 MiB together, there are 256 MiB/)
})
