import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, symlink, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TrainEvent } from '../events.js'
import { logged } from './log.js'

const step = (step: number): TrainEvent => ({
  type: 'step',
  step,
  total: 4,
  samples: 2 * step,
  loss: 1 / step,
  terms: {},
  learningRate: 1,
  gradientNorm: 1,
  dataWait: 0.01,
  skipped: 0,
})

// Linux has a device that is a full disk.
test('what a full disk refuses is written as soon as there is room, in order, with one warning', {
  skip: process.platform === 'linux' ? false : 'needs /dev/full, which Linux has',
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'latentkit-log-'))
  const metrics = join(folder, 'metrics.jsonl')
  async function* events(): AsyncGenerator<TrainEvent> {
    yield { type: 'start', step: 0, total: 4, parameters: 1, batch: 2 }
    yield step(1)
    const before = await readFile(metrics)
    await unlink(metrics)
    await symlink('/dev/full', metrics)
    yield step(2)
    yield step(3)
    await unlink(metrics)
    yield step(4)
    assert.deepEqual(before.toString().split('\n').length, 2)
    yield { type: 'end', step: 4, total: 4, reason: 'done', path: 'x', skipped: { count: 0, examples: [] } }
  }
  const seen: TrainEvent[] = []
  for await (const event of logged(events(), { folder, clock: () => 5 })) seen.push(event)
  assert.deepEqual(
    seen.map(({ type }) => type),
    ['start', 'step', 'step', 'warning', 'step', 'step', 'end'],
  )
  const [warning] = seen.filter(event => event.type === 'warning')
  assert.match(warning!.message, /metrics\.jsonl: cannot be appended to: the disk is full; free some space.*in memory/)
  const lines = (await readFile(metrics, 'utf8')).trim().split('\n')
  assert.deepEqual(
    lines.map(line => JSON.parse(line).step),
    [2, 3, 4],
  )
  assert.equal((await readdir(folder)).filter(name => name.startsWith('events.out')).length, 1)
  await rm(folder, { recursive: true })
})
