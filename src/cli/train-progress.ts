import type { TrainEvent } from '../train/events.js'
import type { Io } from './io.js'

/** `2 h 05 min`, `12 min`, `40 s`. */
export function duration(seconds: number): string {
  const minutes = Math.round(seconds / 60)
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`
  if (minutes < 60) return `${minutes} min`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
}

/** A number with as many digits as one reads. */
const short = (value: number) => String(Number(value.toPrecision(4)))
const list = (values: Readonly<Record<string, number>>) =>
  Object.entries(values)
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${short(value)}`)
    .join(', ')

/** Told where the data cannot keep up: a step should hardly ever wait for it. */
const waiting = (share: number) => (share > 0.05 ? `  ${Math.round(100 * share)}% waiting for data` : '')

/** Seconds between two lines where there is no terminal to write over the last one. */
const quiet = 30

/** Writes what a trainer tells as progress for a person: speed, remaining time, losses. */
export function progressWriter({ err, terminal, clock }: Io): (event: TrainEvent) => void {
  let begun = { seconds: 0, step: 0 }
  let last = Number.NEGATIVE_INFINITY
  let pending = false
  const permanent = (text: string) => {
    err(`${pending ? '\r\u001b[K' : ''}${text}\n`)
    pending = false
  }
  const passing = (text: string) => {
    if (terminal) {
      err(`\r\u001b[K${text}`)
      pending = true
    } else if (clock() - last >= quiet) {
      last = clock()
      err(`${text}\n`)
    }
  }
  return event => {
    const { type, step, total } = event
    if (type === 'start') {
      begun = { seconds: clock(), step }
      const from = step > 0 ? `, going on after step ${step}` : ''
      permanent(`Training ${(event.parameters / 1e6).toFixed(1)}M parameters, ${total} steps of ${event.batch}${from}`)
    } else if (type === 'prepare') {
      passing(`${event.what} ${step}/${total}`)
    } else if (type === 'step') {
      const seconds = clock() - begun.seconds
      const speed = (step - begun.step) / Math.max(seconds, 1e-3)
      const samples = (event.samples / step) * speed
      const terms = Object.keys(event.terms).length > 0 ? ` (${list(event.terms)})` : ''
      const left = duration((total - step) / speed)
      passing(
        `step ${step}/${total}  loss ${short(event.loss)}${terms}  ${samples.toPrecision(3)} samples/s${waiting(event.dataWait)}  ${left} left`,
      )
    } else if (type === 'warning') permanent(`step ${step}  ${event.message}`)
    else if (type === 'evaluation') permanent(`step ${step}  held out: ${list(event.metrics)}`)
    else if (type === 'end') {
      const how = event.reason === 'done' ? 'Done' : `Stopped after step ${step} of ${total}`
      const { count, examples } = event.skipped
      if (count > 0)
        permanent(`Left out  ${count} damaged samples: ${examples.slice(0, 3).join('; ')}${count > 3 ? '; …' : ''}`)
      permanent(`${how}: ${event.path}`)
    }
  }
}
