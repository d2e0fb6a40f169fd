import { appendFile, fileInfo, joinPath, readText, writeFileAtomic } from '#platform'
import { encodePng } from '../../image/png-encode.js'
import { type FileError, isDiskFull } from '../../platform/errors.js'
import type { TrainEvent } from '../events.js'
import { fileVersion, images, scalars, sessionStart } from './tensorboard.js'

/** Where the log of a run is written; `seconds` since 1970, for the records' times. */
export interface LogOptions {
  readonly folder: string
  readonly clock: () => number
}

/**
 * Hands the events of a trainer on and writes them down on their way: numbers to `metrics.jsonl` and to a TensorBoard
 * event file, pictures to `samples/` and to the event file. A resumed run goes on in the same files of numbers; what an
 * interrupted one had logged after its last checkpoint is dropped. What a full disk refuses is kept in memory until there
 * is room; a warning says so.
 */
export async function* logged(
  events: AsyncIterable<TrainEvent>,
  { folder, clock }: LogOptions,
): AsyncGenerator<TrainEvent> {
  const metrics = joinPath(folder, 'metrics.jsonl')
  const board = joinPath(folder, `events.out.tfevents.${Math.floor(clock())}.latentkit`)
  const write = patientWriter()
  let warned = false
  for await (const event of events) {
    let full: FileError | undefined
    if (event.type === 'start') {
      await dropFrom(metrics, event.step)
      full = await write(() => appendFile(board, fileVersion(clock())))
      full = await write(() => appendFile(board, sessionStart({ seconds: clock(), step: event.step + 1 })))
    } else {
      const at = { seconds: clock(), step: event.step }
      if (event.type === 'step') {
        const { type, step, loss, terms, learningRate, gradientNorm, samples, dataWait, skipped } = event
        const data = { data_wait: Number(dataWait.toPrecision(4)), ...(skipped > 0 && { skipped }) }
        const line = JSON.stringify({ type, step, samples, loss, terms, learningRate, gradientNorm, ...data })
        full = await write(() => appendFile(metrics, `${line}\n`))
        const named = Object.entries(terms).map(([name, value]) => [`training/${name}`, value] as const)
        const values = { 'training/loss': loss, ...Object.fromEntries(named) }
        const numbers = scalars(at, { ...values, learning_rate: learningRate, gradient_norm: gradientNorm, ...data })
        full = await write(() => appendFile(board, numbers))
      } else if (event.type === 'evaluation') {
        const { type, step, metrics: values } = event
        full = await write(() => appendFile(metrics, `${JSON.stringify({ type, step, ...values })}\n`))
        const named = Object.entries(values).map(([name, value]) => [`held-out/${name}`, value] as const)
        full = await write(() => appendFile(board, scalars(at, Object.fromEntries(named))))
      } else if (event.type === 'samples') {
        const png = await encodePng(event.image)
        const path = joinPath(folder, 'samples', `${String(event.step).padStart(7, '0')}.png`)
        full = await write(() => writeFileAtomic(path, png))
        const { width, height } = event.image
        full = await write(() => appendFile(board, images(at, { samples: { png, width, height } })))
      } else if (event.type === 'end') {
        full = await write()
        if (full) throw full
      }
    }
    yield event
    if (full && !warned) {
      const message = `${full.message}. What belongs there is kept in memory until there is room`
      yield { type: 'warning', step: event.step, total: event.type === 'prepare' ? 0 : event.total, message }
    }
    warned = full !== undefined
  }
}

type Writing = () => Promise<void>

/** Writes one thing after the other; what a full disk refuses waits, and all that comes after it. */
function patientWriter(): (next?: Writing) => Promise<FileError | undefined> {
  const waiting: Writing[] = []
  return async next => {
    if (next) waiting.push(next)
    for (; waiting.length > 0; waiting.shift()) {
      try {
        await waiting[0]!()
      } catch (error) {
        if (isDiskFull(error)) return error
        throw error
      }
    }
    return undefined
  }
}

/** Drops the lines after a step, and a last one that was cut off. */
async function dropFrom(path: string, step: number): Promise<void> {
  if ((await fileInfo(path)) === undefined) return
  const kept = (await readText(path)).split('\n').filter(line => {
    try {
      return JSON.parse(line).step <= step
    } catch {
      return false
    }
  })
  await writeFileAtomic(path, kept.map(line => `${line}\n`).join(''))
}
