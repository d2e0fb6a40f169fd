import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { checkpointAt } from '../train/learner.js'

const pictures = fileURLToPath(new URL('../../fixtures/data/emoji', import.meta.url))
const command = fileURLToPath(new URL('./main.js', import.meta.url))
const recipe = `
data: { folder: ${pictures}, size: 16 }
first_stage_config:
  embed_dim: 4
  ddconfig: { z_channels: 4, resolution: 16, in_channels: 3, out_ch: 3, ch: 16, num_groups: 4, ch_mult: [1], num_res_blocks: 1, attn_resolutions: [], attn_type: none }
loss: { perceptual_weight: 0 }
training: { steps: 100000, batch: 2, learning_rate: 1.0e-3, checkpoint_every: 90000, evaluate_every: 90000, sample_every: 90000 }
`
const folder = await temporaryFolder()
before(async () => {
  await writeFile(join(folder, 'recipe.yaml'), recipe)
})

/** Runs `latentkit train`; `told` gets all that it has printed so far, whenever there is more. */
function train(
  argv: readonly string[],
  told: (out: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
) {
  const child = spawn(process.execPath, [command, 'train', ...argv, '--threads', '1', '--json'])
  const printed = { out: '', err: '' }
  child.stdout.on('data', data => {
    printed.out += data
    told(printed.out, signal => child.kill(signal))
  })
  child.stderr.on('data', data => (printed.err += data))
  return new Promise<{ code: number | null; out: string; err: string }>(resolve =>
    child.on('exit', code => resolve({ code, ...printed })),
  )
}

test('SIGTERM saves as Ctrl-C does; meanwhile a second run in the folder is refused', async () => {
  const argv = ['autoencoder', join(folder, 'recipe.yaml'), '-o', join(folder, 'run')]
  let second: ReturnType<typeof train> | undefined
  const first = await train(argv, (out, kill) => {
    if (!out.includes('"step":2,') || second) return
    second = train(argv)
    second.then(() => kill('SIGTERM'))
  })
  const refused = await second!
  assert.equal(refused.code, 1)
  assert.match(refused.out, /The run .*run is in use by process \d+ on .* delete this file/)
  assert.equal(first.code, 130, first.err)
  assert.match(first.out, /"type":"end","step":\d+,"total":100000,"reason":"aborted"/)
  assert.deepEqual(await readdir(join(folder, 'run')), ['autoencoder', 'autoencoder.safetensors'])
  const checkpoint = await checkpointAt(join(folder, 'run', 'autoencoder.safetensors'))
  const [, last] = /.*"type":"step","step":(\d+)/s.exec(first.out)!
  assert.equal(checkpoint.training!.values.step, Number(last))
  await checkpoint.close()
})
