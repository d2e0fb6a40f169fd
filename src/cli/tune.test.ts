import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { choose, lowerings } from '../compiler/choose.js'
import type { Target } from '../compiler/target.js'
import { asItIs, useOf } from '../compiler/use.js'
import { readTuning } from '../runtime/index.js'
import { conv2d } from '../tensor/conv.js'
import { trace } from '../tensor/program.js'
import { f32 } from '../tensor/tensor.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import type { Io } from './io.js'
import { tune, tuneCommand } from './tune.js'

const { XDG_CACHE_HOME } = process.env
const folder = await temporaryFolder()
before(async () => {
  process.env.XDG_CACHE_HOME = folder
})
after(async () => {
  if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME
  else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME
})

const target: Target = { device: 'cpu', training: true, contrib: true }
const { output: node } = trace({ x: f32(2, 16, 8, 8), w: f32(16, 16, 3, 3) }, (_, { x, w }) =>
  conv2d(x, w, undefined, { padding: 1 }),
).outputs

test('what was measured is chosen before the table, where it fits', () => {
  const chosen = (name: string) => choose(node!, { ...target, tuned: { [useOf(node!)]: name } })
  const fitting = lowerings.filter(({ op, fits }) => op === 'conv2d' && fits(node!, target))
  assert.ok(fitting.length > 1)
  for (const { name } of fitting) assert.equal(chosen(name)?.name, name)
  assert.equal(chosen(asItIs), undefined)
  const byTable = choose(node!, target)
  assert.equal(chosen('a lowering of another version'), byTable)
  assert.equal(choose(node!, { ...target, tuned: { 'another use': 'winograd2' } }), byTable)
})

test('tune measures every operation of a recipe that has several forms, keeps the fastest, and devices find them', async () => {
  const recipe = join(folder, 'first.yaml')
  await writeFile(
    recipe,
    `data: { folder: pictures, size: 16 }
first_stage_config:
  embed_dim: 4
  ddconfig: { z_channels: 4, resolution: 16, in_channels: 3, out_ch: 3, ch: 32, ch_mult: [1, 2], num_res_blocks: 1, attn_resolutions: [], attn_type: none }
loss: { perceptual_weight: 0 }
training: { steps: 1, batch: 1, learning_rate: 0.001 }
`,
  )
  const said: string[] = []
  const io: Io = {
    out: () => {},
    err: text => said.push(text),
    terminal: false,
    clock: () => 0,
    signal: new AbortController().signal,
  }
  const flags = tuneCommand.options.parse({ stage: 'autoencoder', recipe, rounds: 1, threads: 1 })
  const { uses, file } = await tune(flags, io)
  assert.ok(uses.length > 6)
  assert.deepEqual(
    new Set(uses.map(({ description }) => description.split(' ')[0])),
    new Set(['conv2d', 'conv2dInputGradient', 'conv2dWeightGradient', 'resizeNearest']),
  )
  for (const { milliseconds, fastest } of uses) {
    assert.ok(Object.keys(milliseconds).length > 1)
    assert.equal(milliseconds[fastest], Math.min(...Object.values(milliseconds)))
  }
  assert.ok(file.startsWith(folder))
  assert.deepEqual(await readTuning('cpu'), Object.fromEntries(uses.map(({ use, fastest }) => [use, fastest])))
  assert.match(said[0]!, /^1\/\d+ conv2d.* \[1, .*\n {4}.* ms, .* ms\n$/)
})
