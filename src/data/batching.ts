import { FileError } from '../platform/errors.js'
import type { DrawState } from './draws.js'
import { atMost, readAhead } from './read-ahead.js'
import { type Address, type Sample, type Source, samplesAt } from './source.js'
import { chancesOf, type Drawn, type DrawOptions, drawSamples, type StreamState } from './stream.js'

/** Where batches stand, as plain data: where drawing stands, and what was drawn for batches that are not full yet. */
export interface BatchState {
  readonly draws: StreamState
  readonly pending: readonly { readonly at: Address; readonly epoch: number; readonly number: number }[]
}

/** Where the data of a run stands, drawn at random places or as a stream. */
export type DataState = DrawState | BatchState

/** So many samples of one shape. */
export interface Batched<L> {
  readonly items: readonly L[]
  readonly state: BatchState
}

/** What is made of a drawn sample; all of a batch have the same shape. */
export interface Loaded {
  readonly drawn: Drawn
  readonly shape: string
}

export interface BatchingOptions<S extends Sample, L extends Loaded> extends DrawOptions {
  readonly batch: number
  /** Makes of a drawn sample what a batch wants; a FileError leaves the sample out. */
  load(drawn: Drawn<S>): Promise<L>
  /** Whether damaged samples end the run; by default they are left out and counted. */
  readonly damaged?: 'skip' | 'refuse'
  /** Batches that are loaded ahead. */
  readonly prefetch?: number
  /** This process's place among those that train together, each of which computes a part of every batch. */
  readonly share?: { readonly rank: number; readonly size: number }
}

/** As many decoders as keep the host's threads busy without filling the memory with large pictures. */
const loadsAtOnce = 8

/**
 * Batches without end, all samples of a batch of one shape. Samples are loaded in the background, in the order in which
 * they were drawn; one whose shape has no full batch yet waits for others, over the epoch's end if need be, so that none
 * is lost. `state` goes on exactly after the batch, however much was loaded ahead.
 *
 * Throws FileError where every sample of an epoch is damaged, or one is and that is refused.
 */
export async function* batchSamples<S extends Sample, L extends Loaded>(
  source: Source<S>,
  start: { readonly seed: number } | BatchState,
  options: BatchingOptions<S, L>,
): AsyncGenerator<Batched<L>> {
  const { batch, load, damaged = 'skip', prefetch = 2, share = { rank: 0, size: 1 } } = options
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const queues = new Map<string, L[]>()
  const usable = watchEpochs(source)

  /** Puts a sample into the queue of its shape, which is full then or not. */
  async function accept(loading: Promise<L>, { sample, epoch }: Drawn): Promise<L[] | undefined> {
    try {
      const loaded = await loading
      usable.good()
      const queue = queues.get(loaded.shape) ?? []
      queues.set(loaded.shape, queue)
      return queue.push(loaded) < batch ? undefined : queue
    } catch (error) {
      // A missing codec is no fault of the sample's.
      if (!(error instanceof FileError) || damaged === 'refuse') throw error
      source.skipped.add({ place: sample.key, reason: error.message })
      usable.bad(epoch)
      return undefined
    }
  }

  const draws = drawSamples(source, 'pending' in start ? start.draws : start, { ...options, signal })
  const loads = readAhead(loading(draws, load, batch, share), batch * (prefetch + 1) * share.size)
  try {
    if ('pending' in start) for (const drawn of await redraw(source, start)) await accept(load(drawn), drawn)
    let full: L[] | undefined
    for await (const { drawn, state, loaded, last } of loads) {
      if (loaded) full ??= await accept(loaded, drawn)
      if (!full || !last) continue
      const items = full.splice(0, batch)
      full = undefined
      yield { items, state: { draws: state, pending: waiting(queues) } }
    }
  } finally {
    stop.abort()
    await loads.return(undefined)
  }
}

/** Starts to load what this process's part of the batches is made of; `last` ends a part. */
async function* loading<S extends Sample, L>(
  draws: ReturnType<typeof drawSamples<S>>,
  load: (drawn: Drawn<S>) => Promise<L>,
  batch: number,
  { rank, size }: { rank: number; size: number },
) {
  const slot = atMost(loadsAtOnce)
  const isMine = (number: number) => Math.floor(number / batch) % size === rank
  let number = 0
  for await (const { drawn, state } of draws) {
    const loaded = isMine(number) ? (await slot(() => load(drawn))).done : undefined
    yield { drawn, state, loaded, last: isMine(++number) }
  }
}

/** The samples that were drawn for batches that were not full. */
async function redraw<S extends Sample>(source: Source<S>, { draws, pending }: BatchState): Promise<Drawn<S>[]> {
  const samples = await samplesAt(
    source,
    pending.map(({ at }) => at),
  )
  return pending.map(({ epoch, number }, i) => ({
    ...{ sample: samples[i]!, epoch, number },
    ...chancesOf(draws.seed, epoch, number),
  }))
}

/** In the order in which they were drawn, so that they fill the queues in the same order again. */
const waiting = (queues: ReadonlyMap<string, readonly Loaded[]>): BatchState['pending'] =>
  [...queues.values()]
    .flat()
    .map(({ drawn: { sample, epoch, number } }) => ({ at: sample.address, epoch, number }))
    .sort((a, b) => a.epoch - b.epoch || a.number - b.number)

/** Ends a run in which a whole epoch was damaged, instead of looking for ever. */
function watchEpochs({ name, skipped }: Source) {
  let badSince: number | undefined
  return {
    good: () => (badSince = undefined),
    bad(epoch: number) {
      badSince ??= epoch
      if (epoch <= badSince + 1) return
      const reasons = skipped.examples.slice(0, 5).map(({ place, reason }) => `${place}: ${reason}`)
      throw new FileError(
        name,
        `holds no picture that can be read; ${skipped.count} are damaged: ${reasons.join('; ')}`,
      )
    },
  }
}
