import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Image } from '../../../image/index.js'
import { FileError } from '../../../platform/errors.js'
import { version } from '../../../platform/version.js'
import { type HostTensors, hostIntegers, hostTensor } from '../../../runtime/index.js'
import { type Program, trace } from '../../../tensor/program.js'
import { sizeOf } from '../../../tensor/shape.js'
import { f32 } from '../../../tensor/tensor.js'
import { testDevice } from '../../../testing/device.js'
import { drawnParameters } from '../../../testing/parameters.js'
import { temporaryFolder } from '../../../testing/temporary-folder.js'
import { tinyCheckpoint, tinyConfig } from '../../../testing/tiny-model.js'
import { drawing } from '../../../testing/values.js'
import { classifierConfig, noisyClassifier } from '../../../unet/classifier.js'
import { writeCheckpoint } from '../../../weights/checkpoint.js'
import { fromFloat32 } from '../../../weights/dtypes.js'
import { load } from '../../loading/load.js'
import { conditionedInputs } from '../../programs.js'
import { classGuideProgram, pictureGuideProgram } from './guiding-programs.js'

const config = tinyConfig({ text: false })
const size = { width: 16, height: 16 }
const encoder = {
  image_size: 8,
  in_channels: 4,
  out_channels: 3,
  model_channels: 32,
  channel_mult: [1, 2],
  num_res_blocks: 1,
  attention_resolutions: [2],
  num_head_channels: 32,
}

const device = await testDevice()
const folder = await temporaryFolder()

/** The derivative of `distance` along a direction, by the program's gradient and by differences. */
async function derivatives(program: Program, given: HostTensors) {
  const weights = new Map(
    Object.entries(drawnParameters(program)).map(([name, { shape, data }]) => [name, hostTensor(data, shape)]),
  )
  await using run = await device.compile(program, { weights })
  const { x } = given
  const data = x!.data as Float32Array
  const direction = drawing(9).normal(data.length).data
  const at = async (step: number) => {
    const moved = data.map((value, i) => value + step * direction[i]!)
    return Number((await run({ ...given, x: hostTensor(moved, x!.shape) })).distance!.data[0])
  }
  const { gradient } = await run(given)
  const ours = (gradient!.data as Float32Array).reduce((sum, value, i) => sum + value * direction[i]!, 0)
  return { ours, expected: ((await at(0.01)) - (await at(-0.01))) / 0.02 }
}

const inputsOf = (program: Program): HostTensors =>
  Object.fromEntries(
    Object.entries(program.inputs).map(([name, { dtype, shape }], i) => {
      if (dtype === 'i64') return [name, hostIntegers([2, 0], shape)]
      const level = { alpha: 0.8, sigma: 0.6, t: 400 }[name]
      const drawn = drawing(i).normal(...shape).data
      return [name, hostTensor(level === undefined ? drawn : new Float32Array(sizeOf(shape)).fill(level), shape)]
    }),
  )

test('guiding gradients go through distance, resizing, decoder and UNet, or through the classifier', async () => {
  const programs = [
    pictureGuideProgram(config, size, {
      batch: 2,
      target: { width: 8, height: 10 },
      by: 'l2',
      conditions: conditionedInputs(config, size),
    }),
    classGuideProgram(classifierConfig.parse({ encoder }), [4, 8, 8], 2),
    classGuideProgram(classifierConfig.parse({ encoder, pool: 'adaptive' }), [4, 8, 8], 2),
  ]
  for (const program of programs) {
    const { ours, expected } = await derivatives(program, inputsOf(program))
    assert.ok(Math.abs(ours - expected) < 0.01 * Math.abs(expected) + 1e-3, `${ours}, by differences ${expected}`)
  }
})

test('a guided generation comes nearer to its guide; a classifier leads to its class, and only where it belongs', async () => {
  await using model = await load(tinyCheckpoint(config), { threads: 1 })
  const guide: Image = { data: new Uint8Array(8 * 8 * 3).fill(200), width: 8, height: 8, channels: 3 }
  const settings = { seed: 1, steps: 4 }
  const [plain, guided] = [
    await model.generate('', settings).image(),
    await model.generate('', { ...settings, guide, guideWeight: 5 }).image(),
  ]
  const distance = ({ data }: Image) => Array.from(data).reduce((sum, value) => sum + (value - 200) ** 2, 0)
  assert.ok(distance(guided) < distance(plain), `${distance(guided)} and ${distance(plain)}`)

  const classifier = join(folder, 'classifier.safetensors')
  const network = classifierConfig.parse({ encoder })
  const program = trace({ x: f32(1, 4, 8, 8), t: f32(1) }, (at, { x, t }) =>
    noisyClassifier(at('classifier'), network, x, t),
  )
  const weights = new Map(
    Object.entries(drawnParameters(program)).map(([name, { shape, data }]) => [
      name,
      fromFloat32(Float32Array.from(data), shape),
    ]),
  )
  const write = (scale_factor: number) => {
    const { unet_config: _, ...shared } = { ...config, scale_factor }
    const info = {
      library: version,
      config: { classifier_config: network, names: ['cat', 'dog', 'bird'], model: shared },
    }
    return writeCheckpoint(classifier, { info, weights })
  }
  await write(0.5)
  const led = await model.generate('', { ...settings, classifier, class: 'dog', classifierWeight: 50 }).image()
  assert.notDeepEqual(led.data, plain.data)
  await assert.rejects(model.generate('', { ...settings, classifier, class: 'fish' }).image(), /no class "fish"/)
  await assert.rejects(model.generate('', { ...settings, classifier }).image(), /wanted is class/)
  await write(0.4)
  await assert.rejects(model.generate('', { ...settings, classifier, class: 0 }).image(), FileError)
})
