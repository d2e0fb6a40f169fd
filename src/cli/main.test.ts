import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { decodePng, describePng, encodePng } from '../image/index.js'
import { version } from '../platform/version.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { tinyCheckpoint } from '../testing/tiny-model.js'

const program = fileURLToPath(new URL('./main.js', import.meta.url))
const folder = await temporaryFolder()
before(async () => {
  await writeFile(join(folder, 'tiny.safetensors'), tinyCheckpoint())
})

interface Ran {
  readonly status: number
  readonly out: string
  readonly err: string
}

function latentkit(...argv: string[]): Promise<Ran> {
  return new Promise(resolve => {
    execFile(process.execPath, [program, ...argv], { cwd: folder }, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err })
    })
  })
}

/** Generates with the tiny model, a few steps. */
const generate = (...argv: string[]) =>
  latentkit('generate', '--model', 'tiny.safetensors', '--threads', '1', '--steps', '3', ...argv)

test('help names every command, and each command has its own', async () => {
  const { status, out } = await latentkit()
  assert.equal(status, 0)
  const names = [...out.matchAll(/^ {2}(\w+) {2,}\S/gm)].map(([, name]) => name!)
  for (const name of ['generate', 'train', 'reconstruct', 'evaluate', 'inspect']) assert.ok(names.includes(name), name)
  assert.equal((await latentkit('--help')).out, out)
  for (const name of names) {
    const help = await latentkit(name, '--help')
    assert.equal(help.status, 0)
    assert.match(help.out, new RegExp(`Usage: latentkit ${name} `))
    assert.match(help.out, /Examples:/)
  }
})

test('--version is the version', async () => {
  assert.deepEqual(await latentkit('--version'), { status: 0, out: `${version}\n`, err: '' })
})

test('a mistyped command or flag is answered with the nearest and status 2', async () => {
  const command = await latentkit('genrate')
  assert.deepEqual(command, {
    status: 2,
    out: '',
    err: 'latentkit: there is no command "genrate"; did you mean "generate"?\n',
  })
  const flag = await latentkit('generate', 'x', '--stpes', '3')
  assert.equal(flag.status, 2)
  assert.equal(flag.err, 'latentkit generate: --stpes: unknown option; did you mean "--steps"?\n')
  const value = await latentkit('generate', 'x', '--steps', 'many')
  assert.equal(value.status, 2)
  assert.match(value.err, /^latentkit generate: --steps: found "many", wanted a .*number.*\n$/)
})

test('generate writes a picture, inspect tells what made it, and --like makes it again', async () => {
  const first = await generate('red heart', '--seed', '7', '--negative-prompt', 'car', '-o', 'heart.png')
  assert.deepEqual([first.status, first.out], [0, 'heart.png\n'])
  assert.match(first.err, /3 steps of DDIM, seed 7, [\d.]+ s/)
  const bytes = await readFile(join(folder, 'heart.png'))
  const { parameters } = await describePng(bytes)
  assert.equal(parameters!.version, `latentkit ${version}`)

  const { out } = await latentkit('inspect', 'heart.png')
  assert.match(
    out,
    /heart\.png: a picture of 16x16 pixels\n\nred heart\nNegative prompt: car\nSteps: 3, Sampler: DDIM, /,
  )
  const again = await latentkit(
    'generate',
    '--like',
    'heart.png',
    '-m',
    'tiny.safetensors',
    '--threads',
    '1',
    '-o',
    'again',
  )
  assert.deepEqual([again.status, again.out], [0, 'again.png\n'])
  const [a, b] = await Promise.all([bytes, readFile(join(folder, 'again.png'))].map(async png => decodePng(await png)))
  assert.deepEqual(b, a)
  const other = await latentkit(
    'generate',
    'red car',
    '--like',
    'heart.png',
    '-m',
    'tiny.safetensors',
    '--seed',
    '8',
    '--threads',
    '1',
    '--json',
  )
  const [written] = JSON.parse(other.out).data
  assert.equal(written.path, 'red-car-8.png')
  const { prompt, seed, negativePrompt, steps } = written.settings
  assert.deepEqual(
    { prompt, seed, negativePrompt, steps },
    { prompt: 'red car', seed: 8, negativePrompt: 'car', steps: 3 },
  )
})

test('several pictures are numbered, in a folder they are named after the prompt', async () => {
  const { out } = await generate('red heart!', '--count', '2', '--seed', '5', '-o', 'hearts.png')
  assert.equal(out, 'hearts-1.png\nhearts-2.png\n')
  const named = await generate('Red/Heart: "big"', '--seed', '5', '-o', 'made/')
  assert.equal(named.out.replaceAll('\\', '/'), 'made/red-heart-big-5.png\n')
  assert.deepEqual(await readdir(join(folder, 'made')), ['red-heart-big-5.png'])
})

test('inspect reads models and weights', async () => {
  const model = await latentkit('inspect', 'tiny.safetensors')
  assert.match(model.out, /tiny\.safetensors: a checkpoint of latentkit, \d+ tensors, .* numbers\n/)
  assert.match(model.out, /model\.diffusion_model: [\d.]+M?\n/)
  assert.match(model.out, /unet_config:\n {4}image_size: 8/)
  const squeezenet = fileURLToPath(new URL('../../models/squeezenet1_1_features.safetensors', import.meta.url))
  const weights = JSON.parse((await latentkit('inspect', squeezenet, '--json', '--tensors')).out)
  assert.equal(weights.ok, true)
  const { kind, parameters, dtypes, list } = weights.data
  assert.deepEqual({ kind, parameters, dtypes }, { kind: 'weights', parameters: 722_496, dtypes: { F16: 722_496 } })
  assert.deepEqual(list[0].shape.length > 0, true)
  const gguf = fileURLToPath(new URL('../../fixtures/weights/k-quants.gguf', import.meta.url))
  assert.match((await latentkit('inspect', gguf)).out, /k-quants\.gguf: weights, \d+ tensors/)
})

test('what a file says cannot steer the terminal', async () => {
  const pixel = { data: new Uint8Array(3), width: 1, height: 1, channels: 3 } as const
  await writeFile(join(folder, 'evil.png'), await encodePng(pixel, { text: { parameters: 'a \u001b[31m b\u009b' } }))
  const { out } = await latentkit('inspect', 'evil.png')
  assert.match(out, /a \ufffd\[31m b\ufffd/)
})

test('what cannot be done is said in one line that names the file, with status 1', async () => {
  await writeFile(join(folder, 'cut.safetensors'), tinyCheckpoint().subarray(0, 5000))
  await writeFile(
    join(folder, 'plain.png'),
    await encodePng({ data: new Uint8Array(3), width: 1, height: 1, channels: 3 }),
  )
  const cases: [string[], RegExp][] = [
    [['generate', 'x', '-m', 'none.safetensors'], /none\.safetensors: .*there is no such file/],
    [['generate', 'x', '-m', 'cut.safetensors'], /cut\.safetensors.*: /],
    [['generate', 'x', '-m', '.'], /: is a folder without model_index\.json/],
    [['generate', 'x', '-m', 'tiny.safetensors', '--width', '50'], /the width is 50 pixels.*a multiple of 4/],
    [['generate', 'x', '-m', 'tiny.safetensors', '--steps', '2000'], /2000 steps.* 1000/],
    [['generate', 'x', '-m', 'tiny.safetensors', '--steps', '1', '-o', 'x.jpg'], /x\.jpg: would be no PNG/],
    [
      ['generate', 'x', '-m', 'tiny.safetensors', '--steps', '1', '-o', 'tiny.safetensors/x.png'],
      /tiny\.safetensors.x\.png: cannot be/,
    ],
    [['generate', '--like', 'plain.png', '-m', 'tiny.safetensors'], /plain\.png: carries no settings/],
    [['inspect', 'none.png'], /none\.png: .*there is no such file/],
    [['reconstruct', 'none.safetensors', 'plain.png'], /none\.safetensors: /],
    [['conformance', 'none'], /none.*: /],
  ]
  for (const [argv, message] of cases) {
    const { status, out, err } = await latentkit(...argv)
    assert.equal(status, 1, `${argv}: ${err}`)
    assert.equal(out, '')
    assert.match(err, message)
    assert.match(err, /^latentkit: [^\n]+\n$/, argv.join(' '))
  }
})

test('a failure is an object with --json', async () => {
  const { status, out } = await latentkit('inspect', 'none.png', '--json')
  const { command, ok, error } = JSON.parse(out)
  assert.deepEqual([status, command, ok, error.name, error.file], [1, 'inspect', false, 'FileError', 'none.png'])
  const usage = await latentkit('inspect', '--json')
  assert.equal(usage.status, 2)
  assert.equal(JSON.parse(usage.out).error.name, 'UsageError')
})

test('Ctrl-C ends a generation cleanly', { skip: process.platform === 'win32' && 'signals are POSIX' }, async () => {
  const flags = ['-m', 'tiny.safetensors', '--count', '5000', '--batch', '1', '--threads', '1', '-o', 'many/']
  const child = spawn(process.execPath, [program, 'generate', 'x', ...flags], { cwd: folder })
  let err = ''
  child.stderr.on('data', data => (err += data))
  child.stdout.once('data', () => child.kill('SIGINT'))
  const status = await new Promise(resolve => child.on('exit', resolve))
  assert.deepEqual([status, err], [130, 'latentkit: stopped\n'])
  const pictures = await readdir(join(folder, 'many'))
  assert.ok(pictures.length > 0 && pictures.every(name => name.endsWith('.png')), String(pictures))
})
