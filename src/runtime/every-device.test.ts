import assert from 'node:assert/strict'
import test, { after, before, describe } from 'node:test'
import { type ModulePage, openModule, skipBrowser } from '../testing/browser.js'
import { tinyTraining } from '../testing/tiny-training.js'
import { openWebgpu } from '../testing/webgpu.js'

let expected: number[]
before(async () => {
  expected = await tinyTraining('cpu', 1)
})

/** What the processor computes, up to other kernels and orders of summation. */
function assertSame(numbers: readonly number[], tolerance: number): void {
  assert.equal(numbers.length, expected.length)
  numbers.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) < tolerance, `number ${i} is ${value}, on the processor ${expected[i]}`)
  })
}

test('WebAssembly in Node trains as the processor does', async () => assertSame(await tinyTraining('wasm', 2), 1e-5))

test('WebGPU in Node trains as the processor does', async t => {
  const device = await openWebgpu()
  if (typeof device === 'string') return t.skip(device)
  await device.dispose()
  assertSame(await tinyTraining('webgpu', 1), 1e-4)
})

describe('in Chromium', { skip: skipBrowser }, () => {
  let page: ModulePage<typeof import('../testing/tiny-training.js')>
  before(async () => {
    page = await openModule(new URL('../testing/tiny-training.js', import.meta.url))
  })
  after(() => page[Symbol.asyncDispose]())

  test('the page has threads', async () => assert.equal(await page.page.evaluate('crossOriginIsolated'), true))

  for (const [device, threads, tolerance] of [
    ['wasm', 2, 1e-5],
    ['webgpu', 1, 1e-4],
  ] as const) {
    test(`${device} trains as the processor in Node does, with ${threads} threads`, async () => {
      assertSame(await page.call('tinyTraining', device, threads), tolerance)
    })
  }
})
