import { appendFile, fileInfo, joinPath, readText, writeFileAtomic } from '#platform'
import { encodePng } from '../image/png-encode.js'
import type { TrainEvent } from './events.js'
import { fileVersion, images, scalars, sessionStart } from './tensorboard.js'

/** Where the log of a run is written; `seconds` since 1970, for the records' times. */
export interface LogOptions {
  readonly folder: string
  readonly clock: () => number
}

/**
 * Hands the events of a trainer on and writes them down on their way: numbers to `metrics.jsonl` and to a TensorBoard
 * event file, pictures to `samples/` and to the event file. A resumed run goes on in the same files of numbers; what an
 * interrupted one had logged after its last checkpoint is dropped.
 */
export async function* logged(
  events: AsyncIterable<TrainEvent>,
  { folder, clock }: LogOptions,
): AsyncGenerator<TrainEvent> {
  const metrics = joinPath(folder, 'metrics.jsonl')
  const board = joinPath(folder, `events.out.tfevents.${Math.floor(clock())}.latentkit`)
  for await (const event of events) {
    if (event.type === 'start') {
      await dropFrom(metrics, event.step)
      await appendFile(board, fileVersion(clock()))
      await appendFile(board, sessionStart({ seconds: clock(), step: event.step + 1 }))
    } else {
      const at = { seconds: clock(), step: event.step }
      if (event.type === 'step') {
        const { type, step, loss, terms, learningRate, gradientNorm, samples } = event
        await appendFile(
          metrics,
          `${JSON.stringify({ type, step, samples, loss, terms, learningRate, gradientNorm })}\n`,
        )
        const named = Object.entries(terms).map(([name, value]) => [`training/${name}`, value] as const)
        const values = { 'training/loss': loss, ...Object.fromEntries(named) }
        await appendFile(board, scalars(at, { ...values, learning_rate: learningRate, gradient_norm: gradientNorm }))
      } else if (event.type === 'evaluation') {
        const { type, step, metrics: values } = event
        await appendFile(metrics, `${JSON.stringify({ type, step, ...values })}\n`)
        const named = Object.entries(values).map(([name, value]) => [`held-out/${name}`, value] as const)
        await appendFile(board, scalars(at, Object.fromEntries(named)))
      } else if (event.type === 'samples') {
        const png = await encodePng(event.image)
        await writeFileAtomic(joinPath(folder, 'samples', `${String(event.step).padStart(7, '0')}.png`), png)
        const { width, height } = event.image
        await appendFile(board, images(at, { samples: { png, width, height } }))
      }
    }
    yield event
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
