import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Image } from '../../../image/index.js'
import { controlNetFile } from '../../../testing/control-net.js'
import { tinyCheckpoint, tinyConfig } from '../../../testing/tiny-model.js'
import { load } from '../../loading/load.js'
import type { Model } from '../../model.js'
import type { GenerateSettings } from '../../settings/index.js'

const config = tinyConfig().unet_config!
const hint: Image = {
  ...{ width: 16, height: 16, channels: 3 },
  data: Uint8Array.from({ length: 768 }, (_, i) => (i * 37) % 256),
}

let model: Model
/** The same ControlNet, which counts less by itself where maps are large. */
let fading: Model
before(async () => {
  const last = 4
  const share = (name: string) => {
    const [, place] = /^control_model\.zero_convs\.(\d)\./.exec(name) ?? []
    if (place === undefined && !name.includes('middle_block_out')) return 1
    return 0.825 ** (12 - Number(place ?? last))
  }
  const checkpoint = tinyCheckpoint()
  model = await load(checkpoint, { threads: 1, controls: [{ file: controlNetFile(config, 2) }] })
  fading = await load(checkpoint, { threads: 1, controls: [{ file: controlNetFile(config, 2, share) }] })
})
after(async () => {
  await model.dispose()
  await fading.dispose()
})

async function painted(by: Model, settings: GenerateSettings): Promise<Float32Array> {
  for await (const event of by.generate('red heart', { seed: 5, steps: 4, guidance: 3, hint, ...settings }))
    if (event.type === 'image') return event.latents.data
  throw new Error('no picture')
}
const far = (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((v, i) => v - b[i]!)) / Math.hypot(...b)
const same = (a: Float32Array, b: Float32Array) => assert.ok(far(a, b) < 1e-5, `${far(a, b)}`)
const other = (a: Float32Array, b: Float32Array) => assert.ok(far(a, b) > 1e-4, `${far(a, b)}`)

test('where the prompt counts more, a ControlNet counts less the larger the map is', async () => {
  const prompt = await painted(model, { controlMode: ['prompt'] })
  same(prompt, await painted(fading, {}))
  other(prompt, await painted(model, {}))
})

test('where control counts more, guidance leads away from what knows no hint', async () => {
  const control = await painted(model, { controlMode: ['control'] })
  other(control, await painted(model, { controlMode: ['prompt'] }))
  const alone = { guidance: 1 } as const
  same(
    await painted(model, { ...alone, controlMode: ['control'] }),
    await painted(model, { ...alone, controlMode: ['prompt'] }),
  )
})

test('shares of the way are those of time, or of steps as tools count them', async () => {
  const without = await painted(model, { controlFrom: [1], controlTo: [1] })
  same(await painted(model, { controlTo: [0] }), await painted(model, { controlTo: [0.1] }))
  for (const profile of ['a1111', 'diffusers'] as const) {
    const own = { profile, sampler: 'ddim' } as const
    const none = await painted(model, { ...own, controlFrom: [1], controlTo: [1] })
    const first = await painted(model, { ...own, controlTo: [0.24] })
    // The first of four steps ends at a quarter for diffusers; for A1111 it is where it begins.
    if (profile === 'a1111') other(first, none)
    else same(first, none)
    other(await painted(model, { ...own, controlTo: [0.25] }), none)
  }
  other(await painted(model, {}), without)
})
