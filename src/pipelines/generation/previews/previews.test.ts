import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstStageConfig } from '../../../autoencoder/config.js'
import { decodeFirstStage } from '../../../autoencoder/first-stage.js'
import { type Image, pixelsToImage } from '../../../image/index.js'
import { FileError } from '../../../platform/errors.js'
import { trace } from '../../../tensor/program.js'
import { f32 } from '../../../tensor/tensor.js'
import { drawnParameters } from '../../../testing/parameters.js'
import { tinyCheckpoint, tinyConfig } from '../../../testing/tiny-model.js'
import { drawing } from '../../../testing/values.js'
import { fromFloat32 } from '../../../weights/dtypes.js'
import { encodeSafetensors } from '../../../weights/safetensors.js'
import { load } from '../../load.js'
import { modelConfig } from '../../model-config.js'
import type { GenerateOptions } from '../events.js'
import { findColours, paintColours } from './colours.js'

test('the colours of a decoder that is linear are its own, whatever the number of channels', async () => {
  for (const [channels, height, width] of [
    [4, 8, 8],
    [4, 16, 24],
    [16, 6, 9],
  ] as const) {
    const weight = Float32Array.from(drawing(channels).normal(3, channels).data)
    const decode = async (all: readonly Float32Array[]) =>
      all.map(latents =>
        Float32Array.from({ length: 3 * 4 * height * width }, (_, i) => {
          const [rgb, y, x] = [
            Math.floor(i / (4 * height * width)),
            Math.floor(i / (2 * width)) % (2 * height),
            i % (2 * width),
          ]
          const at = (y >> 1) * width + (x >> 1)
          let sum = 0.1 * rgb
          for (let c = 0; c < channels; c++) sum += weight[rgb * channels + c]! * latents[c * height * width + at]!
          return sum
        }),
      )
    const { zero, each } = await findColours([channels, height, width], 2, decode)
    for (const rgb of [0, 1, 2]) {
      assert.ok(Math.abs(zero[rgb]! - 0.1 * rgb) < 1e-6)
      for (const [c, of] of each.entries()) assert.ok(Math.abs(of[rgb]! - weight[rgb * channels + c]!) < 1e-5)
    }
    const latents = Float32Array.from(drawing(1).normal(channels * height * width).data, value => value / 4)
    const shape = [channels, height, width] as const
    const painted = paintColours({ zero, each }, latents, shape, { width, height })
    const [plain] = await decode([latents])
    const expected = pixelsToImage(plain!, 2 * width, 2 * height)
    for (let i = 0; i < painted.data.length; i++) {
      const [at, rgb] = [Math.floor(i / 3), i % 3]
      const wanted = expected.data[(Math.floor(at / width) * 4 * width + (at % width) * 2) * 3 + rgb]!
      assert.ok(Math.abs(painted.data[i]! - wanted) <= 1)
    }
  }
})

const config = tinyConfig({ text: false })
const stage = firstStageConfig.parse({ width: 8, latent_channels: 4 })

/** A TAESD decoder of chance, as its author's files are. */
function tinyDecoder(): Uint8Array {
  const program = trace({ z: f32(1, 4, 2, 2) }, (at, { z }) => ({ images: decodeFirstStage(at, stage, z) }))
  const weights = Object.entries(drawnParameters(program)).map(
    ([name, { data, shape }]) => [name.replace('decoder.', ''), fromFloat32(Float32Array.from(data), shape)] as const,
  )
  return encodeSafetensors(new Map(weights))
}

/** The tiny model with a first stage of factor 8, as Stable Diffusion's is. */
const byEight = modelConfig.parse({
  ...config,
  first_stage_config: {
    ...config.first_stage_config,
    ddconfig: {
      ...(config.first_stage_config as { ddconfig: object }).ddconfig,
      ch_mult: [1, 1, 1, 1],
      resolution: 64,
    },
  },
})

test('previews are painted by the decoder, roughly by colours, or by TAESD', async () => {
  await using model = await load(tinyCheckpoint(byEight), { threads: 1 })
  const taesd = tinyDecoder()
  const run = async (options: GenerateOptions) => {
    const shown: Image[] = []
    let last: Float32Array | undefined
    for await (const event of model.generate('', { seed: 1, steps: 3, previewEvery: 1, ...options })) {
      if (event.type === 'step') shown.push(...(event.previews ?? []))
      if (event.type === 'image') last = event.latents.data
    }
    assert.equal(shown.length, 2)
    for (const { width, height } of shown) assert.deepEqual([width, height], [64, 64])
    return { shown, last: last! }
  }
  const [decoder, colours, tiny] = [await run({}), await run({ previewBy: 'colours' }), await run({ taesd })]
  assert.deepEqual(decoder.last, colours.last)
  assert.notDeepEqual(decoder.shown[0]!.data, colours.shown[0]!.data)
  assert.notDeepEqual(decoder.shown[0]!.data, tiny.shown[0]!.data)
  const refused = (options: GenerateOptions, message: RegExp) =>
    assert.throws(() => model.generate('', { previewEvery: 1, ...options }), message)
  refused({ previewBy: 'taesd' }, /previewBy: .*wants the file of a TAESD decoder/)
  refused({ previewBy: 'colours', taesd }, /taesd: .*leave one out/)
})

test('files of other latents, or of no TAESD, are refused by name', async () => {
  await using model = await load(tinyCheckpoint(byEight), { threads: 1 })
  await using other = await load(tinyCheckpoint(config), { threads: 1 })
  const refused = (from: typeof model, taesd: Uint8Array, message: RegExp) =>
    assert.rejects(from.generate('', { previewEvery: 1, taesd, steps: 2 }).image(), error => {
      assert.ok(error instanceof FileError)
      assert.match(error.message, message)
      return true
    })
  await refused(other, tinyDecoder(), /4 channels, 8 pixels each; this model has 4 channels, 2 pixels each/)
  await refused(model, tinyCheckpoint(), /is no decoder of TAESD/)
})
