import { openCheckpoint } from '../../dist/index.js'

/** Seconds of the processor that this process has taken in all its threads. */
export const processorSeconds = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Where a training stands that has not begun. */
export const notBegun = { steps: 0, samples: 0, seconds: 0 }

/**
 * Trains until all steps together, of earlier parts as well, have taken `limit` seconds of the processor, or until `stop`
 * is aborted; a checkpoint is at `options.path` then, and `save` was told where it stands.
 *
 * Steps count with their data and optimiser; compiling, encoding the photographs once and writing checkpoints do not.
 */
export async function trainUntil(limit, { trainer, options, from, stop, save }) {
  // A run that was killed before its first step was told of begins anew.
  const resume = from.steps > 0 ? await openCheckpoint(options.path) : undefined
  const enough = new AbortController()
  let at = from
  let last
  try {
    for await (const event of trainer({ ...options, resume, signal: AbortSignal.any([stop, enough.signal]) })) {
      const now = processorSeconds()
      if (event.type === 'start') {
        // One that was killed between its checkpoint and the word of it: steps take the same time each.
        const share = from.steps > 0 ? event.step / from.steps : 0
        at = { steps: event.step, samples: event.step * event.batch, seconds: from.seconds * share }
        at.parameters = event.parameters
      } else if (event.type === 'step') {
        const { step: steps, samples, loss } = event
        at = { ...at, steps, samples, loss, seconds: at.seconds + now - last }
        if (at.seconds >= limit) enough.abort()
      } else if (event.type === 'checkpoint') await save(at)
      last = processorSeconds()
    }
  } finally {
    await resume?.close()
  }
  stop.throwIfAborted()
  return at
}
