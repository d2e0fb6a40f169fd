import { FileError } from '../platform/errors.js'
import { philox4x32, torchGenerator } from '../random/index.js'
import { type Address, everySample, isHeldOut, type Sample, type Source } from './source.js'
import type { Chances } from './transform.js'

/** What chance decides for one drawn sample: numbers in [0, 1). */
export interface SampleChances extends Chances {
  /** Which of its captions. */
  readonly caption: number
}

/** A sample that was drawn. */
export interface Drawn<S extends Sample = Sample> extends SampleChances {
  readonly sample: S
  readonly epoch: number
  /** Its number in the epoch. */
  readonly number: number
}

/** Where drawing stands, as plain data (it survives JSON): enough to go on exactly, whatever the source's size. */
export interface StreamState {
  readonly seed: number
  readonly epoch: number
  /** Samples of this epoch before the window. */
  readonly before: number
  /** Where the window begins: place in the epoch's order of parts, and the sample there. */
  readonly from: Address
  /** Samples of the window that were drawn. */
  readonly taken: number
  /** How many parts the source has. */
  readonly parts: number
}

export interface DrawOptions {
  /** Samples that are shuffled at once. */
  readonly window?: number
  /** Bytes that samples of one window may keep in memory. */
  readonly windowBytes?: number
  /** The share that is never drawn, to measure with. */
  readonly heldOut?: number
  readonly signal?: AbortSignal | undefined
}

/** The purposes of chance, so that none shares its numbers. */
const purpose = { parts: 1, window: 2, sample: 3 } as const

const words = (seed: number, what: keyof typeof purpose, epoch: number, index: number) =>
  philox4x32(
    [index >>> 0, Math.floor(index / 2 ** 32), epoch >>> 0, purpose[what]],
    [seed >>> 0, Math.floor(seed / 2 ** 32)],
  )

/** The chances of a sample: a function of seed, epoch and number alone, so that they are no state. */
export function chancesOf(seed: number, epoch: number, number: number): SampleChances {
  const [x, y, flip, caption] = words(seed, 'sample', epoch, number).map(word => word / 2 ** 32)
  return { x: x!, y: y!, flip: flip!, caption: caption! }
}

/** No chance: the middle is cut out, nothing mirrored, the first caption taken. */
export const noChance: SampleChances = { x: 0.5, y: 0.5, flip: 1, caption: 0 }

/**
 * Draws samples without end, each once an epoch: parts in a new order every epoch, and the samples of a window of so many
 * shuffled, windows following each other. `state` is where to go on after the sample; the next window is read while this
 * one is used up.
 *
 * A folder's parts are its pictures, so that it is shuffled as a whole. Throws RangeError for a state of a source with
 * other parts, FileError where there is nothing to draw.
 */
export async function* drawSamples<S extends Sample>(
  source: Source<S>,
  start: { readonly seed: number } | StreamState,
  options: DrawOptions = {},
): AsyncGenerator<{ drawn: Drawn<S>; state: StreamState }, never> {
  const { seed } = start
  let { epoch, before, from, taken } = 'epoch' in start ? checked(start, source) : beginning(seed, source)
  let order = partsOrder(seed, epoch, source.parts)
  let window = readWindow(source, order, from, options)
  for (;;) {
    const { samples, next } = await window
    const last = next === undefined
    if (last && before + samples.length === 0) throw nothingToDraw(source)
    const nextOrder = last ? partsOrder(seed, epoch + 1, source.parts) : order
    window = readWindow(source, nextOrder, next ?? [0, 0], options)
    // Told when its turn comes, if it ever does.
    window.catch(() => {})
    const shuffled = torchGenerator(words(seed, 'window', epoch, before)[0]).randperm(samples.length)
    while (taken < samples.length) {
      const number = before + taken
      const sample = samples[shuffled[taken++]!]!
      const state = { seed, epoch, before, from, taken, parts: source.parts }
      yield { drawn: { sample, epoch, number, ...chancesOf(seed, epoch, number) }, state }
    }
    order = nextOrder
    before = last ? 0 : before + samples.length
    from = next ?? [0, 0]
    if (last) epoch++
    taken = 0
  }
}

const beginning = (seed: number, { parts }: Source): StreamState => ({
  ...{ seed, epoch: 0, before: 0, from: [0, 0], taken: 0, parts },
})

/** An epoch's order of parts. */
const partsOrder = (seed: number, epoch: number, parts: number) =>
  torchGenerator(words(seed, 'parts', epoch, 0)[0]).randperm(parts)

/** The samples of a window, and where the next one begins, if there is one in this epoch. */
async function readWindow<S extends Sample>(
  source: Source<S>,
  order: Int32Array,
  [place, index]: Address,
  { window = 4096, windowBytes = 2 ** 27, heldOut, signal }: DrawOptions,
): Promise<{ samples: S[]; next: Address | undefined }> {
  const samples: S[] = []
  let bytes = 0
  for (let i = place; i < order.length; i++) {
    for await (const sample of source.read(order[i]!, { from: i === place ? index : 0, signal })) {
      signal?.throwIfAborted()
      if (samples.length >= window || bytes >= windowBytes) return { samples, next: [i, sample.address[1]] }
      if (isHeldOut(sample, heldOut)) continue
      samples.push(sample)
      bytes += sample.held
    }
  }
  return { samples, next: undefined }
}

/**
 * Samples to measure with, the first `most` of them in the order of storage, the same every time; where nothing is held
 * out, of those that are trained on. No more than the first `look` samples are looked at.
 */
export async function heldOutSamples<S extends Sample>(
  source: Source<S>,
  most: number,
  { heldOut, signal, look = 100 * most }: Pick<DrawOptions, 'heldOut' | 'signal'> & { look?: number } = {},
): Promise<S[]> {
  const held: S[] = []
  const trained: S[] = []
  let seen = 0
  for await (const sample of everySample(source, [0, 0], signal)) {
    if (isHeldOut(sample, heldOut)) held.push(sample)
    else if (trained.length < most) trained.push(sample)
    if (held.length === most || ++seen === look) break
  }
  return held.length > 0 ? held : trained
}

function checked(state: StreamState, source: Source): StreamState {
  const { epoch, before, from, taken, parts } = state
  const whole = [epoch, before, ...from, taken].every(value => Number.isSafeInteger(value) && value >= 0)
  if (whole && parts === source.parts && from[0] < Math.max(1, parts)) return state
  throw new RangeError(
    `Cannot go on in part ${from[0]} of ${parts}, sample ${from[1]}, epoch ${epoch}, of ${source.name}: it has ` +
      `${source.parts} parts now. Resume with the same data, or start anew`,
  )
}

function nothingToDraw({ name, skipped: { count, examples } }: Source): FileError {
  const reasons = examples.slice(0, 5).map(({ place, reason }) => `${place} ${reason}`)
  const left = count > 0 ? `; ${count} were left out: ${reasons.join('; ')}` : ''
  return new FileError(name, `holds no picture to train on${left}`)
}
