import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commandHelp, parseFlags } from '../schema/index.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import type { Io } from './io.js'
import { reconstruct, reconstructCommand } from './reconstruct.js'
import { train, trainCommand } from './train.js'
import { duration } from './train-progress.js'

const pictures = fileURLToPath(new URL('../../fixtures/data/emoji', import.meta.url))
const recipe = (steps: number) => `
data: { folder: ${pictures}, size: 32 }
first_stage_config:
  embed_dim: 4
  ddconfig: { z_channels: 4, resolution: 32, in_channels: 3, out_ch: 3, ch: 16, num_groups: 4, ch_mult: [1, 1], num_res_blocks: 1, attn_resolutions: [], attn_type: none }
loss: { perceptual_weight: 0 }
training: { steps: ${steps}, batch: 2, learning_rate: 1.0e-3, clip: 1, ema: { decay: 0.9 }, checkpoint_every: 2 }
`
const folder = await temporaryFolder()

function capture(signal: AbortSignal = new AbortController().signal) {
  const written = { out: '', err: '' }
  const io: Io = {
    out: text => (written.out += text),
    err: text => (written.err += text),
    terminal: false,
    clock: () => Date.now() / 1000,
    signal,
  }
  return { io, written }
}
const run = async (argv: string[], io: Io) => train(parseFlags(trainCommand, argv), io)

/** The losses that a run logged, one a step, as text: equal text is equal bits. */
const losses = async (out: string) =>
  (await readFile(join(out, 'autoencoder', 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
    .filter(({ type }) => type === 'step')
    .map(({ step, loss, gradientNorm }) => `${step} ${loss} ${gradientNorm}`)

/** Trains in a process of its own, which is killed as soon as it has told of this step. */
function trainAndKill(file: string, out: string, step: number, more: string[] = []): Promise<void> {
  const script = `
    import { parseFlags } from ${JSON.stringify(new URL('../schema/index.js', import.meta.url).href)}
    import { train, trainCommand } from ${JSON.stringify(new URL('./train.js', import.meta.url).href)}
    const io = { out: t => process.stdout.write(t), err: () => {}, terminal: false, clock: () => Date.now() / 1000, signal: new AbortController().signal }
    await train(parseFlags(trainCommand, ${JSON.stringify(['autoencoder', file, '-o', out, '--threads', '1', '--json', ...more])}), io)`
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.on('data', data => {
      text += data
      if (text.includes(`"type":"step","step":${step},`)) child.kill('SIGKILL')
    })
    child.on('exit', (code, signal) => (signal === 'SIGKILL' ? resolve() : reject(new Error(`ended with ${code}`))))
  })
}

test('killed twice and resumed, a run has the losses of one that was never interrupted', async () => {
  const file = join(folder, 'recipe.yaml')
  await writeFile(file, recipe(8))
  const whole = join(folder, 'whole')
  const { io } = capture()
  await run(['autoencoder', file, '-o', whole, '--threads', '1'], io)

  const parts = join(folder, 'parts')
  await trainAndKill(file, parts, 3)
  await trainAndKill(file, parts, 5, ['--resume'])
  const last = await run(['autoencoder', file, '-o', parts, '--resume', '--threads', '1'], io)
  assert.deepEqual(last, { checkpoint: join(parts, 'autoencoder.safetensors'), step: 8, total: 8 })
  assert.deepEqual(await losses(parts), await losses(whole))
  const bytes = (out: string) => readFile(join(out, 'autoencoder.safetensors'))
  assert.ok((await bytes(parts)).equals(await bytes(whole)))
  assert.ok((await readdir(join(whole, 'autoencoder'))).some(name => name.startsWith('events.out.tfevents.')))
  assert.deepEqual(await readdir(join(whole, 'autoencoder', 'samples')), ['0000008.png'])
})

test('an existing run is not overwritten', async () => {
  const { io } = capture()
  const again = run(['autoencoder', join(folder, 'recipe.yaml'), '-o', join(folder, 'whole')], io)
  await assert.rejects(again, /autoencoder\.safetensors: is there already.*--resume.*--out/)
})

test('Ctrl-C saves and says so', async () => {
  const abort = new AbortController()
  const { io, written } = capture(abort.signal)
  const err = (text: string) => {
    io.err(text)
    if (text.includes('step 1/')) abort.abort()
  }
  const out = join(folder, 'stopped')
  const trained = await run(['autoencoder', join(folder, 'recipe.yaml'), '-o', out, '--threads', '1'], { ...io, err })
  assert.ok(trained!.step < 8)
  assert.match(written.err, /Stopped after step \d of 8: .*autoencoder\.safetensors/)
})

test('a folder is looked at, planned, and trained in two stages to a model', async () => {
  const { io, written } = capture()
  const out = join(folder, 'both')
  const flags = ['--size', '32', '--first-stage-steps', '2', '--steps', '2', '-o', out, '--threads', '1']
  const trained = await run([pictures, ...flags], io)
  assert.match(written.err, /Found {5}12 pictures .*128/)
  assert.match(written.err, /Captions {2}\d+ on 12 pictures/)
  assert.match(written.err, /Stage 1 {3}autoencoder 32x32 to latents 8x8: \d\.\dM parameters, 2 steps of 16/)
  assert.match(written.err, /Expected {2}about .* GiB of memory/)
  assert.match(written.err, /Warning {3}There are 12 pictures/)
  assert.match(written.err, /held out: loss [\d.]+, loss without condition/)
  assert.match(trained!.generate!, /^latentkit generate ".+" --model .*model\.safetensors$/)
  assert.ok(written.err.includes(trained!.generate!))
  assert.deepEqual((await readdir(out)).sort(), [
    'autoencoder',
    'autoencoder.safetensors',
    'autoencoder.yaml',
    'diffusion',
    'diffusion.yaml',
    'model.safetensors',
  ])

  const { io: more } = capture()
  const original = join(pictures, 'images/noto/2764.png')
  const options = parseFlags(reconstructCommand, [trained!.checkpoint, original, '-o', join(folder, 'rec')])
  const [result] = await reconstruct(options, more)
  assert.deepEqual([result!.width, result!.height], [128, 128])
  assert.ok(result!.psnr > 0 && result!.ssim <= 1)
})

test('a wrong recipe is refused with the nearest key, a wrong folder with what was looked for', async () => {
  const file = join(folder, 'wrong.yaml')
  await writeFile(file, recipe(8).replace('batch:', 'bathc:'))
  const { io } = capture()
  await assert.rejects(
    run(['autoencoder', file], io),
    /wrong\.yaml:7: training\.bathc: unknown key; did you mean "batch"\?/,
  )
  await assert.rejects(run(['autoencoder'], io), /RECIPE: missing; wanted a YAML file/)
  await assert.rejects(run(['autoencoder', file, '--steps', '3'], io), /--steps: is for folders/)
  await assert.rejects(run([join(folder, 'nowhere')], io), /nowhere/)
  const empty = await mkdtemp(join(folder, 'empty-'))
  await assert.rejects(run([empty], io), /holds no pictures: looked for \.png/)
})

test('the help names every flag', () => {
  const help = commandHelp(trainCommand)
  for (const flag of ['--resume', '--first-stage-steps', '--plan', '--from']) assert.ok(help.includes(flag), flag)
  assert.deepEqual([duration(40), duration(720), duration(7500)], ['40 s', '12 min', '2 h 05 min'])
})
