import type { DrawState } from '../data/draws.js'
import type { Image } from '../image/image.js'
import { LatentkitError } from '../platform/errors.js'
import type { HostTensors } from '../runtime/host-tensor.js'
import type { TrainEvent } from './events.js'
import { learningRates } from './learning-rate.js'
import type { Progress } from './progress.js'
import type { TrainingSettings } from './settings.js'

/** The inputs of one batch, and where the data stands after it. */
export interface Batch {
  readonly inputs: HostTensors
  readonly data: DrawState
}

/** What a trainer of one kind of network brings to the loop. */
export interface Task {
  /** Batches without end, from a place in the data on; `first` is the number of the first one, counted from the run's start. */
  batches(first: number, data: DrawState | undefined): AsyncGenerator<Batch, unknown>
  /** Losses and the like on held-out data, the same data and noise every time. */
  evaluate(): Promise<Record<string, number>>
  /** A picture of where training stands. */
  picture(): Promise<Image>
}

/** A batch's loss and the parts of it, unweighted. */
export interface Losses {
  readonly loss: number
  readonly terms: Readonly<Record<string, number>>
}

/** What moves the weights; all of it is state that a checkpoint holds. */
export interface Learner {
  /** Adds gradients of a batch. */
  accumulate(inputs: HostTensors, scale: number): Promise<Losses>
  update(learningRate: number): Promise<{ gradientNorm: number }>
  /** Writes a checkpoint that resumes after this many steps and from this place in the data. */
  save(step: number, data: DrawState | undefined): Promise<void>
  readonly parameters: number
  /** Where checkpoints are written. */
  readonly path: string
  /** Where an interrupted run stood, if this goes on with one. */
  readonly progress?: Pick<Progress, 'step' | 'data'> | undefined
}

/** The loss, one of its terms or a gradient is no number any more; the last checkpoint still is good. */
export class DivergedError extends LatentkitError {
  override name = 'DivergedError'
}

export interface FitOptions {
  readonly settings: TrainingSettings
  readonly signal?: AbortSignal | undefined
}

/**
 * Trains until all steps are done or the signal is aborted, which saves a checkpoint first.
 *
 * Throws DivergedError where a loss or gradient is not finite: before the weights or the last checkpoint are touched.
 */
export async function* fit(task: Task, learner: Learner, options: FitOptions): AsyncGenerator<TrainEvent> {
  const { settings, signal } = options
  const learningRate = learningRates(settings)
  const total = settings.steps
  const batch = settings.batch * settings.accumulate
  let step = learner.progress?.step ?? 0
  let data = learner.progress?.data
  let saved = learner.progress && learner.path
  yield { type: 'start', step, total, parameters: learner.parameters, batch }

  const batches = task.batches(step * settings.accumulate, data)
  // The next batch is made while the worker computes this one.
  const ahead = () => {
    const next = batches.next()
    next.catch(() => {})
    return next
  }
  let next = ahead()
  while (step < total && !signal?.aborted) {
    const parts: Losses[] = []
    for (let part = 0; part < settings.accumulate; part++) {
      const { value } = (await next) as IteratorYieldResult<Batch>
      const computed = learner.accumulate(value.inputs, 1 / settings.accumulate)
      next = ahead()
      data = value.data
      parts.push(await computed)
    }
    const { loss, terms } = averaged(parts)
    checkFinite(step, saved, { loss, ...terms })
    const rate = learningRate(step)
    const { gradientNorm } = await learner.update(rate)
    checkFinite(step, saved, { 'gradient norm': gradientNorm })
    step++
    yield { type: 'step', step, total, samples: step * batch, loss, terms, learningRate: rate, gradientNorm }

    const due = (every: number) => step % every === 0 || step === total
    if (due(settings.evaluate_every)) yield { type: 'evaluation', step, total, metrics: await task.evaluate() }
    if (due(settings.sample_every)) yield { type: 'samples', step, total, image: await task.picture() }
    if (due(settings.checkpoint_every)) {
      await learner.save(step, data)
      saved = learner.path
      yield { type: 'checkpoint', step, total, path: saved }
    }
  }
  await batches.return(undefined)
  if (step < total) {
    await learner.save(step, data)
    yield { type: 'checkpoint', step, total, path: learner.path }
  }
  yield { type: 'end', step, total, reason: step < total ? 'aborted' : 'done', path: learner.path }
}

function averaged(parts: readonly Losses[]): Losses {
  const mean = (of: (part: Losses) => number) => parts.reduce((sum, part) => sum + of(part), 0) / parts.length
  const names = Object.keys(parts[0]!.terms)
  return {
    loss: mean(({ loss }) => loss),
    terms: Object.fromEntries(names.map(name => [name, mean(({ terms }) => terms[name]!)])),
  }
}

function checkFinite(step: number, saved: string | undefined, values: Record<string, number>): void {
  const bad = Object.entries(values).filter(([, value]) => !Number.isFinite(value))
  if (bad.length === 0) return
  const found = bad.map(([name, value]) => `${name} = ${value}`).join(', ')
  throw new DivergedError(
    `Training stopped in step ${step + 1}: ${found}, wanted finite numbers. ` +
      `${saved ? `The last good checkpoint is ${saved}: go on from it` : 'Begin again'} with a smaller learning_rate or clip`,
  )
}
