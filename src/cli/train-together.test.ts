import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const pictures = fileURLToPath(new URL('../../fixtures/data/emoji', import.meta.url))
const recipe = (batch: number, steps: number) => `
data: { folder: ${pictures}, size: 32 }
first_stage_config:
  embed_dim: 4
  ddconfig: { z_channels: 4, resolution: 32, in_channels: 3, out_ch: 3, ch: 16, num_groups: 4, ch_mult: [1], num_res_blocks: 1, attn_resolutions: [], attn_type: none }
loss: { perceptual_weight: 0 }
training: { steps: ${steps}, batch: ${batch}, accumulate: 2, learning_rate: 1.0e-3, clip: 1, ema: { decay: 0.9 }, checkpoint_every: 100 }
`
/** Trains; as process 1 of several it dies, all of a sudden, as soon as it is told of this step. */
const script = (argv: readonly string[], dieAfter: number) => `
  import { parseFlags } from ${JSON.stringify(new URL('../schema/index.js', import.meta.url).href)}
  import { train, trainCommand } from ${JSON.stringify(new URL('./train.js', import.meta.url).href)}
  const rank = Number(process.env.OMPI_COMM_WORLD_RANK ?? 0)
  const abort = new AbortController()
  process.once('SIGTERM', () => abort.abort(new Error('stopped')))
  const out = text => {
    if (rank === 1 && text.includes('"step":${dieAfter},')) process.kill(process.pid, 'SIGKILL')
    if (rank === 0) process.stdout.write(text)
  }
  const io = { out, err() {}, terminal: false, clock: () => Date.now() / 1000, signal: abort.signal }
  await train(parseFlags(trainCommand, ${JSON.stringify([...argv, '--threads', '1', '--json'])}), io).catch(error => {
    console.error(error.message)
    process.exitCode = 1
  })`

interface Ended {
  readonly code: number | null
  readonly errors: string
}

function run(processes: number, argv: readonly string[], dieAfter = -1): Promise<Ended> {
  const node = [process.execPath, '--input-type=module', '-e', script(argv, dieAfter)]
  const [command, ...rest] = processes === 1 ? node : ['mpirun', '--oversubscribe', '-n', String(processes), ...node]
  const root = { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' }
  const child = spawn(command!, rest, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...root } })
  let errors = ''
  child.stderr.on('data', data => (errors += data))
  return new Promise(resolve => child.on('exit', code => resolve({ code, errors })))
}

const mpirun = spawnSync('mpirun', ['--version'], { encoding: 'utf8' }).stdout?.includes('Open MPI')
const skip = mpirun ? false : 'needs Open MPI (Debian: openmpi-bin)'

describe('several processes', { skip }, () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'latentkit-together-'))
    await writeFile(join(folder, 'half.yaml'), recipe(2, 5))
    await writeFile(join(folder, 'whole.yaml'), recipe(4, 3))
  })
  after(() => rm(folder, { recursive: true }))

  const steps = async (out: string) =>
    (await readFile(join(folder, out, 'autoencoder', 'metrics.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
      .filter(({ type }) => type === 'step')

  test('two train as one with batches twice as large; one dies, the other saves; one alone goes on', async () => {
    const train = (name: string, out: string, ...more: string[]) => [
      'autoencoder',
      join(folder, name),
      '-o',
      join(folder, out),
      ...more,
    ]
    const [whole, parted] = await Promise.all([
      run(1, train('whole.yaml', 'one')),
      run(2, train('half.yaml', 'two'), 3),
    ])
    assert.equal(whole.code, 0, whole.errors)
    assert.notEqual(parted.code, 0)
    assert.match(parted.errors, /process 1 of 2 \(pid \d+\) has died.*Go on from .*two.autoencoder\.safetensors/s)

    const [one, two] = [await steps('one'), await steps('two')]
    assert.deepEqual(
      two.map(({ step, samples }) => [step, samples]),
      [
        [1, 8],
        [2, 16],
        [3, 24],
      ],
    )
    for (const [i, { loss, gradientNorm, terms }] of one.entries()) {
      const close = (found: number, wanted: number) =>
        assert.ok(Math.abs(found / wanted - 1) < 1e-5, `${found} ${wanted}`)
      close(two[i].loss, loss)
      close(two[i].gradientNorm, gradientNorm)
      close(two[i].terms.l1, terms.l1)
    }
    assert.ok(!(await readdir(join(folder, 'two'))).includes('.lock'), 'the next run may begin')

    const alone = await run(1, train('half.yaml', 'two', '--resume'))
    assert.equal(alone.code, 0, alone.errors)
    assert.deepEqual(
      (await steps('two')).map(({ step }) => step),
      [1, 2, 3, 4, 5],
    )
  })
})
