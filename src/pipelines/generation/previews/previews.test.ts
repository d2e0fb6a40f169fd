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
import { load } from '../../loading/load.js'
import { modelConfig } from '../../model-config.js'
import type { GenerateOptions } from '../events.js'
import { fitColours, paintColours } from './colours.js'

test('the colours of a decoder that is linear are found from a picture, and paint others', () => {
  for (const [channels, height, width] of [
    [4, 8, 8],
    [16, 12, 9],
  ] as const) {
    const weight = drawing(channels)
      .normal(3, channels)
      .data.map(value => value / 20)
    const shape = [channels, height, width] as const
    const latents = (seed: number) => Float32Array.from(drawing(seed).normal(channels * height * width).data)
    const decode = (z: Float32Array) =>
      pixelsToImage(
        Float32Array.from({ length: 3 * 4 * height * width }, (_, i) => {
          const [y, x] = [Math.floor(i / (2 * width)) % (2 * height), i % (2 * width)]
          const at = (y >> 1) * width + (x >> 1)
          const rgb = Math.floor(i / (4 * height * width))
          let sum = 0.1 * rgb
          for (let c = 0; c < channels; c++) sum += weight[rgb * channels + c]! * z[c * height * width + at]!
          return sum
        }),
        2 * width,
        2 * height,
      )
    const colours = fitColours([{ latents: latents(1), image: decode(latents(1)) }], shape)
    const painted = paintColours(colours, latents(2), shape, { width, height })
    const expected = decode(latents(2))
    let far = 0
    for (let i = 0; i < painted.data.length; i++) {
      const [at, rgb] = [Math.floor(i / 3), i % 3]
      const wanted = expected.data[(Math.floor(at / width) * 4 * width + (at % width) * 2) * 3 + rgb]!
      far = Math.max(far, Math.abs(painted.data[i]! - wanted))
    }
    assert.ok(far <= 3, `${far} of 255`)
  }
})

test('latents that are all alike give their colour, not numbers without bounds', () => {
  const image = { data: new Uint8Array(16 * 16 * 3).fill(200), width: 16, height: 16, channels: 3 } as const
  const latents = new Float32Array(4 * 64).fill(1)
  const shape = [4, 8, 8] as const
  const painted = paintColours(fitColours([{ latents, image }], shape), latents, shape, { width: 16, height: 16 })
  assert.ok(painted.data.every(value => Math.abs(value - 200) <= 1))
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
  assert.deepEqual(decoder.shown[0]!.data, colours.shown[0]!.data)
  assert.notDeepEqual(decoder.shown[1]!.data, colours.shown[1]!.data)
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
