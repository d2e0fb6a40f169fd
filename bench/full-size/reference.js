// A UNet of Stable Diffusion 1.5's size with random weights against CompVis' own code, in every form of weights:
//   PYTHONPATH=latent-diffusion:einops PYTHON=python3 node bench/full-size/reference.js [CHECKPOINT] [SIDE] [FORM...]
// Both repositories as they are on GitHub; SIDE is that of the latents, 64 by default. Takes 6 GB.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkpointModel, hostTensor, openCheckpoint, openDevice } from '../../dist/index.js'
import { torchGenerator } from '../../dist/random/index.js'
import { trace } from '../../dist/tensor/program.js'
import { f32 } from '../../dist/tensor/tensor.js'
import { unet } from '../../dist/unet/unet.js'
import { model, writeRandomCheckpoint } from './random-checkpoint.js'

const [checkpoint = join(tmpdir(), 'latentkit-sd15-random.safetensors'), side = '64', ...forms] = process.argv.slice(2)
if (!existsSync(checkpoint)) await writeRandomCheckpoint(checkpoint)
const wanted = { f32: 1e-5, f16: 1e-5, int8: 2e-2, int4: 5e-2 }

const size = Number(side)
const generator = torchGenerator(1)
const draw = (...shape) => hostTensor(generator.randn(shape.reduce((a, b) => a * b)), shape)
const inputs = { x: draw(1, 4, size, size), t: hostTensor([417]), context: draw(1, 77, 768) }
const program = trace(
  Object.fromEntries(Object.entries(inputs).map(([name, { shape }]) => [name, f32(...shape)])),
  (at, given) => unet(at('model.diffusion_model'), model.unet_config, given),
)

const folder = await mkdtemp(join(tmpdir(), 'latentkit-reference-'))
const { in_channels, out_channels, model_channels, num_res_blocks, attention_resolutions, channel_mult, num_heads } =
  model.unet_config
const config = {
  image_size: size,
  in_channels,
  out_channels,
  model_channels,
  num_res_blocks,
  attention_resolutions,
  channel_mult,
  num_heads,
  use_spatial_transformer: true,
  transformer_depth: 1,
  context_dim: 768,
  legacy: false,
}
const shapes = Object.fromEntries(Object.entries(inputs).map(([name, { shape }]) => [name, shape]))
await writeFile(join(folder, 'inputs.json'), JSON.stringify({ config, ...shapes }))
for (const [name, { data }] of Object.entries(inputs)) await writeFile(join(folder, `${name}.f32`), data)
const script = fileURLToPath(new URL('reference.py', import.meta.url))
const { status } = spawnSync(process.env.PYTHON ?? 'python3', [script, checkpoint, folder], { stdio: 'inherit' })
if (status === 0) {
  const theirs = new Float32Array((await readFile(join(folder, 'output.f32'))).buffer)
  const norm = values => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0))
  const file = await openCheckpoint(checkpoint)
  const { weights } = checkpointModel(file)
  for (const precision of forms.length > 0 ? forms : Object.keys(wanted)) {
    const most = wanted[precision]
    const device = await openDevice('cpu', { threads: 2 })
    const run = await device.compile(program, { weights, precision })
    const { output } = await run(inputs)
    const difference = norm(output.data.map((v, i) => v - theirs[i])) / norm(theirs)
    console.log(`${precision.padEnd(6)} relative L2 ${difference.toExponential(2)}, at most ${most}`)
    if (!(difference < most)) process.exitCode = 1
    await device.dispose()
  }
  await file.close()
} else process.exitCode = 1
await rm(folder, { recursive: true })
