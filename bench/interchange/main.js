// Whether diffusers and PEFT load what latentkit writes and compute the same with it: npm run build && node bench/interchange/main.js
// Takes a Python with torch, diffusers, peft and transformers: PYTHON=… names it, python3 otherwise.
// A tiny model is trained on for some steps, written in every layout, and asked the same here and there.
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  adaptModel,
  checkpointModel,
  controlNetRecipe,
  hostTensor,
  loraRecipe,
  openCheckpoint,
  openDevice,
  trainControlNet,
  trainLora,
  writeDiffusers,
} from '../../dist/index.js'
import { decodingProgram, denoisingProgram } from '../../dist/pipelines/programs.js'
import { torchGenerator } from '../../dist/random/index.js'
import { tinyCheckpoint } from '../../dist/testing/tiny-model.js'
import { fromFloat32 } from '../../dist/weights/dtypes.js'
import { writeSafetensors } from '../../dist/weights/safetensors.js'

const folder = await mkdtemp(join(tmpdir(), 'latentkit-interchange-'))
const here = fileURLToPath(new URL('.', import.meta.url))
const pictures = fileURLToPath(new URL('../../fixtures/data/emoji', import.meta.url))
const device = await openDevice('cpu')
const bytes = tinyCheckpoint()
const base = await openCheckpoint(bytes)

const shared = {
  data: { folder: pictures, size: 16 },
  samples: { prompts: [''], steps: 1 },
  training: { steps: 10, batch: 4, learning_rate: 1e-2, evaluate_every: 10, sample_every: 10, checkpoint_every: 10 },
}
const drain = async run => {
  for await (const _ of run);
}
const options = name => ({
  device,
  base,
  path: join(folder, `${name}.safetensors`),
  latentFolder: join(folder, 'latents'),
})
const target = '(to_[qkv]|to_out\\.0|proj_in|in_layers\\.2)$'
for (const [name, lora] of [
  ['lora', { rank: 4, alpha: 2, target }],
  ['dora', { rank: 4, decompose: true, target: 'to_[qkv]$' }],
])
  await drain(trainLora({ ...options(name), recipe: loraRecipe.parse({ ...shared, lora }) }))
await drain(trainControlNet({ ...options('control'), recipe: controlNetRecipe.parse(shared) }))

const model = checkpointModel(base)
await writeDiffusers(model, join(folder, 'model'))

const size = { width: 16, height: 16 }
const drawn = (seed, ...shape) => hostTensor(torchGenerator(seed).randn(shape.reduce((a, b) => a * b)), shape)
const given = {
  x: drawn(1, 2, 4, 8, 8),
  t: hostTensor([17, 801]),
  context: drawn(2, 2, 8, 16),
  hint: hostTensor(
    Float32Array.from(drawn(3, 2, 3, 16, 16).data, v => (v > 0 ? 1 : 0)),
    [2, 3, 16, 16],
  ),
  z: drawn(4, 2, 4, 8, 8),
}
const asked = async (adaptation, inputs) => {
  // Adapting hands the checkpoint on: each takes one of its own.
  const adapted = await adaptModel(checkpointModel(await openCheckpoint(bytes)), adaptation)
  const run = await device.compile(denoisingProgram(adapted.config, size), { weights: adapted.weights })
  const { prediction } = await run(inputs)
  await adapted.checkpoint.close()
  return prediction
}
const { x, t, context, hint, z } = given
const at = name => join(folder, name)
const strength = hostTensor([1, 1], [2, 1])
const ours = {
  unet: await asked({}, { x, t, context }),
  lora: await asked({ loras: [{ file: at('lora.safetensors') }] }, { x, t, context }),
  dora: await asked({ loras: [{ file: at('dora.safetensors') }] }, { x, t, context }),
  control: await asked({ controls: [{ file: at('control.safetensors') }] }, { x, t, context, hint, strength }),
}
const decode = await device.compile(decodingProgram(model.config, size), { weights: model.weights })
ours.vae = (await decode({ z })).images
const tensors = Object.entries({
  ...given,
  ...Object.fromEntries(Object.entries(ours).map(([k, v]) => [`ours.${k}`, v])),
})
await writeSafetensors(
  at('numbers.safetensors'),
  new Map(tensors.map(([name, { data, shape }]) => [name, fromFloat32(data, shape)])),
)
await base.close()
await device.dispose()

const python = process.env.PYTHON ?? 'python3'
const { status } = spawnSync(python, [join(here, 'check.py'), folder], { stdio: 'inherit' })
await rm(folder, { recursive: true })
process.exitCode = status ?? 1
