import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DataState, type DrawState, drawPictures } from '../data/index.js'
import { FileError, LostProcessError } from '../platform/errors.js'
import { torchGenerator } from '../random/index.js'
import { onlyProcess, type Processes } from '../runtime/index.js'
import type { TrainEvent } from './events.js'
import { DivergedError, fit, type Learner, type Task } from './fit.js'
import { learningRates } from './learning-rate.js'
import { trainingSettings } from './settings.js'

const settings = trainingSettings.parse({
  steps: 6,
  batch: 2,
  accumulate: 2,
  learning_rate: 0.1,
  evaluate_every: 3,
  sample_every: 6,
  checkpoint_every: 4,
})

/** How many of three pictures an epoch were drawn. */
function drawn(data: DataState | undefined): number {
  const { position, epoch } = data as DrawState
  return position + 3 * epoch
}

/** A task and a learner without a device: the "loss" is the number of the batch. */
function pretend(losses: (batch: number) => number = batch => batch) {
  const saves: { step: number; data: DataState | undefined }[] = []
  const scales: number[] = []
  const task: Task = {
    async *batches(first, data) {
      const draws = drawPictures([0, 1, 2], data && 'shuffle' in data ? data : torchGenerator(1))
      for (let i = first; ; i++) {
        draws.next(2)
        yield { inputs: { n: { dtype: 'f32', shape: [], data: Float32Array.of(i) } }, data: draws.state() }
      }
    },
    evaluate: async () => ({ loss: 1 }),
    picture: async () => ({ data: new Uint8Array(3), width: 1, height: 1, channels: 3 }),
  }
  const learner: Learner = {
    parameters: 5,
    path: 'model.safetensors',
    async accumulate({ n }, scale) {
      scales.push(scale)
      const loss = losses(Number(n!.data[0]))
      return { loss, terms: { l1: loss / 2 } }
    },
    update: async () => ({ gradientNorm: 1 }),
    async save(step, data) {
      saves.push({ step, data })
    },
  }
  const run = async (progress?: Learner['progress']) => {
    const events: TrainEvent[] = []
    for await (const event of fit(task, { ...learner, progress }, { settings })) {
      events.push(event)
    }
    return events
  }
  return { task, learner, saves, scales, run }
}

test('a run tells its steps, evaluations, pictures, checkpoints and end', async () => {
  const { run, scales, saves } = pretend()
  const events = await run()
  assert.deepEqual(
    events.map(({ type, step }) => `${type} ${step}`),
    [
      'start 0',
      'step 1',
      'step 2',
      'step 3',
      'evaluation 3',
      'step 4',
      'checkpoint 4',
      'step 5',
      'step 6',
      'evaluation 6',
      'samples 6',
      'checkpoint 6',
      'end 6',
    ],
  )
  const first = events[1]!
  assert.ok(first.type === 'step')
  assert.deepEqual([first.loss, first.terms, first.samples, first.learningRate], [0.5, { l1: 0.25 }, 4, 0.1])
  assert.deepEqual(new Set(scales), new Set([0.5]))
  assert.deepEqual(
    saves.map(({ step }) => step),
    [4, 6],
  )
})

test('a run goes on with the batch after the last one that counted', async () => {
  const { run, saves } = pretend()
  const losses = (events: TrainEvent[]) => events.flatMap(event => (event.type === 'step' ? [event.loss] : []))
  const whole = losses(await run())
  const rest = losses(await run({ step: 4, data: saves[0]!.data! }))
  assert.deepEqual(rest, whole.slice(4))
  assert.equal(drawn(saves[0]!.data), 16)
})

test('an aborted run saves where it stands', async () => {
  const { task, learner, saves } = pretend()
  const abort = new AbortController()
  const types: string[] = []
  for await (const event of fit(task, learner, { settings, signal: abort.signal })) {
    types.push(event.type)
    if (event.type === 'step' && event.step === 2) abort.abort()
  }
  assert.deepEqual(types, ['start', 'step', 'step', 'checkpoint', 'end'])
  assert.equal(saves[0]!.step, 2)
})

test('a loss that is no number ends the run and says which, before anything is updated or saved', async () => {
  const { run, saves } = pretend(batch => (batch === 9 ? Number.NaN : 1))
  await assert.rejects(run(), (error: Error) => {
    assert.ok(error instanceof DivergedError)
    assert.match(error.message, /step 5: loss = NaN, l1 = NaN.*last good checkpoint is model\.safetensors/)
    return true
  })
  assert.deepEqual(
    saves.map(({ step }) => step),
    [4],
  )
})

test('a gradient that overflows ends the run too', async () => {
  const { task, learner } = pretend()
  const broken = { ...learner, update: async () => ({ gradientNorm: Number.POSITIVE_INFINITY }) }
  const run = async () => {
    for await (const _ of fit(task, broken, { settings }));
  }
  await assert.rejects(run, /step 1: gradient norm = Infinity.*Begin again/)
})

test('a full disk is waited out: the run goes on, says so, and saves when there is room', async () => {
  const { task, learner, saves } = pretend()
  const full = new FileError('model.safetensors', 'the disk is full', { cause: { code: 'ENOSPC' } })
  let room = false
  const run = async (more: object, attempts: number) => {
    const events: TrainEvent[] = []
    let tried = 0
    const save: Learner['save'] = async (step, data) => {
      room = tried++ >= attempts
      if (!room) throw full
      return learner.save(step, data)
    }
    for await (const event of fit(task, { ...learner, save }, { settings: { ...settings, ...more } }))
      events.push(event)
    return events
      .filter(({ type }) => type === 'warning' || type === 'checkpoint')
      .map(({ type, step }) => [type, step])
  }
  const told = await run({ steps: 7, checkpoint_every: 3 }, 2)
  assert.deepEqual(told, [
    ['warning', 3],
    ['warning', 4],
    ['checkpoint', 5],
    ['checkpoint', 6],
    ['checkpoint', 7],
  ])
  assert.deepEqual(
    saves.map(({ step }) => step),
    [5, 6, 7],
  )
  await assert.rejects(run({ steps: 2, checkpoint_every: 9 }, 1), /model\.safetensors: the disk is full/)
})

test('of several processes the first writes; where one is lost what is left saves the last whole step', async () => {
  const { task, learner, saves } = pretend()
  const run = async (rank: number, isHeir: boolean) => {
    let sums = 0
    const processes: Processes = {
      ...onlyProcess,
      rank,
      size: 2,
      // Of both, which compute the same; the second dies in the middle of step 6.
      async sum(numbers) {
        if (sums++ === 12) throw new LostProcessError('process 1 has died')
        return numbers.map(x => 2 * x)
      },
      isHeir: async () => isHeir,
    }
    const types: string[] = []
    const events = fit(task, learner, { settings: { ...settings, steps: 9 }, processes })
    await assert.rejects(async () => {
      for await (const { type, step } of events) types.push(`${type} ${step}`)
    }, /process 1 has died. (Go on from model.safetensors|Nothing was saved)/)
    return types
  }
  const first = await run(0, true)
  assert.deepEqual(first.slice(0, 2), ['start 0', 'step 1'])
  assert.deepEqual(first.slice(-2), ['step 5', 'checkpoint 5'])
  assert.deepEqual(
    saves.map(({ step }) => step),
    [4, 5],
  )
  // The batches that count: two a step, each of two pictures in both processes.
  assert.equal(drawn(saves[1]!.data), 20)
  assert.deepEqual(await run(1, false), ['start 0', 'step 1', 'step 2', 'step 3', 'step 4', 'step 5'])
  assert.equal(saves.length, 2)
})

test('the learning rate rises, holds or falls as the settings say', () => {
  const of = (more: object) =>
    learningRates(trainingSettings.parse({ steps: 110, batch: 1, learning_rate: 2, warm_up: 10, ...more }))
  const constant = of({})
  assert.ok(constant(0) < 1e-5)
  assert.ok(Math.abs(constant(5) - 1) < 1e-4)
  assert.deepEqual([constant(10), constant(500)], [2, 2])
  const cosine = of({ decay: 'cosine', final_rate: 0.1 })
  assert.ok(Math.abs(cosine(60) - 1.1) < 1e-9)
  assert.ok(Math.abs(cosine(110) - 0.2) < 1e-9)
})
