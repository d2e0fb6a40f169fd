import { now } from '#platform'
import type { DataState, Skipped } from '../data/index.js'
import type { Image } from '../image/image.js'
import { isDiskFull, LatentkitError, LostProcessError } from '../platform/errors.js'
import { type HostTensors, onlyProcess, type Processes } from '../runtime/index.js'
import type { TrainEvent } from './events.js'
import { learningRates } from './learning-rate.js'
import type { Progress } from './progress.js'
import type { TrainingSettings } from './settings.js'

/** The inputs of one batch, and where the data stands after it. */
export interface Batch {
  readonly inputs: HostTensors
  readonly data: DataState
}

/** What a trainer of one kind of network brings to the loop. */
export interface Task {
  /** Batches without end, from a place in the data on; `first` is the number of the first one, counted from the run's start. */
  batches(first: number, data: DataState | undefined): AsyncGenerator<Batch, unknown>
  /** Losses and the like on held-out data after a step, the same data and noise every time. */
  evaluate(step: number): Promise<Record<string, number>>
  /** A picture of where training stands. */
  picture(): Promise<Image>
  /** What the data left out so far. */
  readonly skipped?: Skipped | undefined
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
  /** Moves the weights; `terms` of the loss that are known only then join those of the step. */
  update(learningRate: number): Promise<{ gradientNorm: number; terms?: Losses['terms'] }>
  /** Writes a checkpoint that resumes after this many steps and from this place in the data. */
  save(step: number, data: DataState | undefined): Promise<void>
  readonly parameters: number
  /** Whether it was stopped in the middle of an update, so that what it holds is no whole step. */
  readonly midway?: boolean
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
  /** The processes that train together; this one alone by default. */
  readonly processes?: Processes
  readonly signal?: AbortSignal | undefined
}

/**
 * Trains until all steps are done or the signal is aborted, which saves a checkpoint first. Of several processes only the
 * first evaluates and writes; where one dies the others end as well, with a checkpoint of the last whole step.
 *
 * Throws DivergedError where a loss or gradient is not finite: before the weights or the last checkpoint are touched.
 * Throws FileError where a checkpoint cannot be written; a full disk only at the end, until then it tries again.
 */
export async function* fit(task: Task, learner: Learner, options: FitOptions): AsyncGenerator<TrainEvent> {
  const { settings, processes = onlyProcess, signal } = options
  const learningRate = learningRates(settings)
  const total = settings.steps
  const batch = settings.batch * settings.accumulate * processes.size
  const writes = processes.rank === 0
  let step = learner.progress?.step ?? 0
  let data = learner.progress?.data
  let saved = learner.progress && learner.path
  let unsaved = false
  await checkSameStep(processes, step)
  yield { type: 'start', step, total, parameters: learner.parameters, batch }

  const batches = task.batches(step * settings.accumulate, data)
  // The next batch is made while the worker computes this one.
  const ahead = () => {
    const next = batches.next()
    next.catch(() => {})
    return next
  }
  async function* save(): AsyncGenerator<TrainEvent> {
    try {
      await learner.save(step, data)
      saved = learner.path
      unsaved = false
      yield { type: 'checkpoint', step, total, path: saved }
    } catch (error) {
      if (!isDiskFull(error) || step === total || signal?.aborted) throw error
      unsaved = true
      yield { type: 'warning', step, total, message: `${error.message}. Training goes on and tries again` }
    }
  }
  const interrupt = () => processes.interrupt()
  signal?.addEventListener('abort', interrupt, { once: true })
  let next = ahead()
  try {
    while (step < total && !(await anyAborted(processes, signal))) {
      const parts: Losses[] = []
      let after = data
      const begun = now()
      let waited = 0
      for (let part = 0; part < settings.accumulate; part++) {
        const asked = now()
        const { value } = (await next) as IteratorYieldResult<Batch>
        waited += now() - asked
        const computed = learner.accumulate(value.inputs, 1 / settings.accumulate)
        next = ahead()
        parts.push(await computed)
        after = value.data
      }
      const { loss, terms } = await averaged(parts, processes)
      checkFinite(step, saved, { loss, ...terms })
      const rate = learningRate(step)
      const { gradientNorm, terms: own } = await learner.update(rate)
      const later = own && (await averaged([{ loss: 0, terms: own }], processes)).terms
      checkFinite(step, saved, { 'gradient norm': gradientNorm, ...later })
      step++
      data = after
      const done = { loss, terms: { ...terms, ...later }, learningRate: rate, gradientNorm }
      const skipped = task.skipped?.count ?? 0
      const dataWait = waited / Math.max(now() - begun, 1e-3)
      yield { type: 'step', step, total, samples: step * batch, ...done, dataWait, skipped }

      if (!writes) continue
      const due = (every: number) => step % every === 0 || step === total
      if (due(settings.evaluate_every)) yield { type: 'evaluation', step, total, metrics: await task.evaluate(step) }
      if (due(settings.sample_every)) yield { type: 'samples', step, total, image: await task.picture() }
      const again = unsaved && due(Math.ceil(settings.checkpoint_every / 10))
      if (due(settings.checkpoint_every) || again) yield* save()
    }
    if (step < total && writes) yield* save()
    // Whoever reads the checkpoint next finds it.
    await processes.barrier()
  } catch (error) {
    if (!(error instanceof LostProcessError)) throw error
    if (!learner.midway && (await processes.isHeir())) yield* save()
    if (!signal?.aborted) throw lost(error, saved)
  } finally {
    signal?.removeEventListener('abort', interrupt)
    await batches.return(undefined)
  }
  const { count = 0, examples = [] } = task.skipped ?? {}
  const skipped = { count, examples: examples.map(({ place, reason }) => `${place} ${reason}`) }
  yield { type: 'end', step, total, reason: step < total ? 'aborted' : 'done', path: learner.path, skipped }
}

/** Whether any process is to stop; so all of them do so after the same step. */
async function anyAborted(processes: Processes, signal: AbortSignal | undefined): Promise<boolean> {
  const [aborted] = await processes.sum([signal?.aborted ? 1 : 0])
  return aborted! > 0
}

async function checkSameStep(processes: Processes, step: number): Promise<void> {
  const [sum] = await processes.sum([step])
  if (sum !== step * processes.size) {
    throw new LatentkitError(
      `Process ${processes.rank} goes on after step ${step}, others after another one: on every machine the run's folder ` +
        'must be the same; share it between them',
    )
  }
}

/** The means over a step's parts and over all processes. */
async function averaged(parts: readonly Losses[], processes: Processes): Promise<Losses> {
  const names = Object.keys(parts[0]!.terms)
  const sums = await processes.sum(
    [...names.map(name => (part: Losses) => part.terms[name]!), (part: Losses) => part.loss].map(of =>
      parts.reduce((sum, part) => sum + of(part), 0),
    ),
  )
  const means = sums.map(sum => sum / (parts.length * processes.size))
  return { loss: means.at(-1)!, terms: Object.fromEntries(names.map((name, i) => [name, means[i]!])) }
}

const lost = ({ message }: LostProcessError, saved: string | undefined) =>
  new LostProcessError(
    `${message}. ${saved ? `Go on from ${saved} with --resume` : 'Nothing was saved: begin again'}, with as many processes as there are`,
  )

function checkFinite(step: number, saved: string | undefined, values: Record<string, number>): void {
  const bad = Object.entries(values).filter(([, value]) => !Number.isFinite(value))
  if (bad.length === 0) return
  const found = bad.map(([name, value]) => `${name} = ${value}`).join(', ')
  throw new DivergedError(
    `Training stopped in step ${step + 1}: ${found}, wanted finite numbers. ` +
      `${saved ? `The last good checkpoint is ${saved}: go on from it` : 'Begin again'} with a smaller learning_rate or clip`,
  )
}
