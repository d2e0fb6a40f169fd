import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type ModulePage, openModule, skipBrowser } from '../../testing/browser.js'

describe('conformance in Chromium', { skip: skipBrowser }, () => {
  let page: ModulePage<typeof import('../../testing/judged.js')>
  before(async () => {
    page = await openModule(new URL('../../testing/judged.js', import.meta.url))
  })
  after(() => page[Symbol.asyncDispose]())

  /** Equal by the cases' own tolerances. */
  async function assertEqual(cases: string[], device: 'wasm' | 'webgpu'): Promise<void> {
    const failed = (await page.call('judged', cases, device)).filter(({ status }) => status !== 'equal')
    assert.deepEqual(failed, [])
  }

  it('networks and their gradients are equal by WebAssembly', () =>
    assertEqual(['unet/ldm_churches', 'unet/sd1', 'training/losses_unconditional'], 'wasm'))

  it('a network is equal by WebGPU, drawn in software', () => assertEqual(['unet/ldm_churches'], 'webgpu'))
})
