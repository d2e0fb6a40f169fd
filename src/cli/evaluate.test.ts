import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { encodePng } from '../image/index.js'
import { clipVision } from '../perceptual/clip-vision.js'
import { modelConfig } from '../pipelines/model-config.js'
import { decodeFirstStage, encodeImages } from '../pipelines/networks.js'
import { writeFileAtomic } from '../platform/node/index.js'
import { version } from '../platform/version.js'
import { parseFlags, UsageError } from '../schema/index.js'
import { type Program, trace } from '../tensor/program.js'
import { f32, i64 } from '../tensor/tensor.js'
import { drawnParameters } from '../testing/parameters.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { tinyCheckpoint, tinyConfig } from '../testing/tiny-model.js'
import { uniforms } from '../testing/values.js'
import { openClipEmbedding, openClipText, openClipTextConfig } from '../text/encoder-openclip.js'
import { writeCheckpoint } from '../weights/checkpoint.js'
import { fromFloat32 } from '../weights/dtypes.js'
import { writeSafetensors } from '../weights/safetensors.js'
import { evaluate, evaluateCommand } from './evaluate.js'

const merges = fileURLToPath(new URL('../../fixtures/data/clip/merges.txt', import.meta.url))
const folder = await temporaryFolder()
before(async () => {
  for (const [name, seed] of [
    ['one', 1],
    ['two', 2],
  ] as const)
    await writePictures(join(folder, name), seed)
})

async function writePictures(at: string, seed: number): Promise<void> {
  const uniform = uniforms(seed)
  const lines: string[] = []
  for (let i = 0; i < 5; i++) {
    const colour = [uniform(), uniform(), uniform()]
    const data = Uint8Array.from({ length: 32 * 32 * 3 }, (_, k) => 255 * colour[k % 3]! * (0.7 + 0.3 * uniform()))
    await writeFileAtomic(join(at, `${i}.png`), await encodePng({ data, width: 32, height: 32, channels: 3 }))
    lines.push(JSON.stringify({ file: `${i}.png`, caption: `a colour ${i}` }))
  }
  await writeFile(join(at, 'captions.jsonl'), lines.join('\n'))
}

async function run(...line: string[]) {
  let out = ''
  const io = {
    out: (text: string) => void (out += text),
    err: () => {},
    terminal: false,
    clock: () => 0,
    signal: new AbortController().signal,
  }
  const result = await evaluate(parseFlags(evaluateCommand, [...line, '--threads', '1']) as never, io)
  return { ...result, out }
}
const values = ({ figures }: Awaited<ReturnType<typeof run>>) =>
  Object.fromEntries(figures.map(({ metric, value }) => [metric, value]))

const drawnWeights = (program: Program) =>
  new Map(
    Object.entries(drawnParameters(program)).map(([name, { shape, data }]) => [
      name,
      fromFloat32(Float32Array.from(data), shape),
    ]),
  )

test('two folders: a folder is at no distance from itself, in pairs and by statistics that were kept', async () => {
  const [one, two] = [join(folder, 'one'), join(folder, 'two')]
  const kept = join(folder, 'one.npz')
  const same = await run(one, one, '--metric', 'frechet', '--metric', 'psnr', '--metric', 'ssim', '--save', kept)
  assert.ok(Math.abs(values(same).frechet!) < 1e-3)
  assert.deepEqual([values(same).psnr, values(same).ssim], [100, 1])
  assert.match(same.out, /^Fréchet distance \(SqueezeNet 1\.1\) +\S+ +5 pictures against 5$/m)
  const other = await run(two, kept)
  assert.ok(values(other).frechet! > 1)
  await assert.rejects(run(two, kept, '--metric', 'kernel'), /needs the pictures/)
  await assert.rejects(run(two), UsageError)
  await assert.rejects(run(two, one, '--metric', 'inception-score'), /without a classifier/)
})

test('a model is asked for the captions of the pictures, its first stage for the pictures themselves', async () => {
  const model = join(folder, 'model.safetensors')
  await writeFile(model, tinyCheckpoint())
  const made = await run(
    model,
    join(folder, 'one'),
    '--share',
    'all',
    '--samples',
    '2',
    '--steps',
    '2',
    '--metric',
    'frechet',
  )
  assert.deepEqual([made.kind, made.figures[0]!.pictures, made.figures[0]!.reference], ['model', 2, 5])
  const config = modelConfig.parse({ first_stage_config: tinyConfig().first_stage_config })
  const program = trace({ images: f32(1, 3, 16, 16) }, (at, { images }) =>
    decodeFirstStage(at, config, encodeImages(at, config, images).mean),
  )
  const first = join(folder, 'first.safetensors')
  await writeCheckpoint(first, { info: { library: version, config }, weights: drawnWeights(program) })
  const stage = await run(first, join(folder, 'one'), '--share', 'all', '--metric', 'frechet', '--metric', 'psnr')
  assert.equal(stage.kind, 'first stage')
  assert.deepEqual(
    stage.figures.map(({ name }) => name),
    ['reconstruction Fréchet distance (SqueezeNet 1.1)', 'PSNR'],
  )
})

test('CLIP score: captions and pictures through both halves of a CLIP', async () => {
  const vision = { size: 8, patch: 4, width: 64, layers: 1, heads: 1, inner: 128, embed_dim: 8 }
  const text = openClipTextConfig.parse({
    embed_dim: 8,
    context_length: 12,
    vocab_size: 50000,
    width: 64,
    heads: 1,
    layers: 1,
  })
  const program = trace({ images: f32(1, 3, 8, 8), tokens: i64(1, 12) }, (at, { images, tokens }) => ({
    seen: clipVision(at, { ...vision, activation: 'gelu', names: 'openai' }, images).embedding,
    told: openClipEmbedding(at, text, openClipText(at, text, tokens).last, tokens),
  }))
  const clip = join(folder, 'clip.safetensors')
  await writeSafetensors(clip, drawnWeights(program))
  const line = [join(folder, 'one'), '--metric', 'clip-score', '--clip', clip]
  const { figures } = await run(...line, '--clip-vocabulary', merges, '--clip-activation', 'gelu')
  assert.match(figures[0]!.name, /^CLIP score \(CLIP ViT of 1 layers, 64 wide/)
  assert.ok(figures[0]!.value >= 0 && figures[0]!.value <= 100)
  await assert.rejects(run(...line), /--clip-vocabulary/)
})
