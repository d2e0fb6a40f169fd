// The share of a training step's time that is spent waiting for its data.
//   npm run build && node bench/data.js [--size 64] [--batch 16] [--steps 30] [--threads 1] [--pictures 512]
// Writes photographs' worth of PNG and JPEG files (640x480) into a temporary folder and into tar shards, plain and packed,
// trains a first stage on each and prints the mean wait of its steps after the first five. JPEG needs the package sharp.
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { encodePng } from '../dist/image/index.js'
import { torchGenerator } from '../dist/random/index.js'
import { openDevice } from '../dist/runtime/index.js'
import { autoencoderRecipe } from '../dist/train/first-stage/recipe.js'
import { trainAutoencoder } from '../dist/train/first-stage/train-autoencoder.js'

const number = { type: 'string' }
const options = { size: number, batch: number, steps: number, threads: number, pictures: number }
const { size = '64', batch = '16', steps = '30', threads = '1', pictures = '512' } = parseArgs({ options }).values
const settled = 5

const folder = await mkdtemp(join(tmpdir(), 'latentkit-data-'))
const sharp = await import('sharp').then(
  module => module.default,
  () => undefined,
)
await mkdir(join(folder, 'files'))
const random = torchGenerator(1)
for (let i = 0; i < Number(pictures); i++) {
  const [width, height] = i % 2 ? [640, 480] : [480, 640]
  const [a, b, c] = random.rand(3)
  const data = new Uint8Array(width * height * 3)
  for (let at = 0; at < data.length; at++) {
    const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)]
    data[at] = 128 + 127 * Math.sin(x * a * 0.05 + (at % 3) + Math.cos(y * b * 0.03 + c))
  }
  const image = { data, width, height, channels: 3 }
  const name = join(folder, 'files', String(i).padStart(5, '0'))
  if (sharp && i % 4) await writeFile(`${name}.jpg`, await sharp(data, { raw: image }).jpeg().toBuffer())
  else await writeFile(`${name}.png`, await encodePng(image))
  await writeFile(`${name}.txt`, `picture ${i}`)
}
const tar = (name, ...flags) =>
  execFileSync('tar', [...flags, '-cf', join(folder, name), '--sort=name', '-C', join(folder, 'files'), '.'])
tar('plain.tar')
tar('packed.tar.gz', '-z')

const device = await openDevice('cpu', { threads: Number(threads) })
console.log(`waiting for data, share of a step's time: ${batch} pictures of ${size}x${size}, ${threads} threads`)
try {
  for (const [name, place] of Object.entries({
    folder: { folder: join(folder, 'files') },
    'tar shard': { shards: join(folder, 'plain.tar') },
    'tar.gz shard': { shards: join(folder, 'packed.tar.gz') },
  })) {
    const every = { evaluate_every: 1e6, sample_every: 1e6, checkpoint_every: 1e6 }
    const recipe = autoencoderRecipe.parse({
      data: { ...place, size: Number(size), flip: true },
      first_stage_config: {
        embed_dim: 4,
        ddconfig: {
          ...{ z_channels: 4, resolution: Number(size), in_channels: 3, out_ch: 3, ch: 32, ch_mult: [1, 2, 4] },
          ...{ num_res_blocks: 1, num_groups: 8, attn_resolutions: [], attn_type: 'none' },
        },
      },
      training: { ...every, batch: Number(batch), steps: Number(steps), learning_rate: 1e-4 },
    })
    const waits = []
    let last = performance.now()
    const times = []
    const path = join(folder, 'model.safetensors')
    for await (const event of trainAutoencoder({ device, recipe, path })) {
      if (event.type !== 'step') continue
      const now = performance.now()
      if (event.step > settled) {
        waits.push(event.dataWait)
        times.push(now - last)
      }
      last = now
    }
    const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length
    const share = (100 * mean(waits)).toFixed(2)
    console.log(`${name.padEnd(14)} ${share.padStart(6)}%   ${mean(times).toFixed(0).padStart(6)} ms a step`)
  }
} finally {
  await device.dispose()
  await rm(folder, { recursive: true })
}
