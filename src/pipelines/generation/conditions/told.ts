import {
  type Asked,
  encodedInputs,
  inputsOf,
  type Numbers,
  type Spoken,
  type SpokenPhrase,
  stack,
  textShapeOf,
} from '../../../conditioning/index.js'
import type { HostTensor } from '../../../runtime/host-tensor.js'
import { type HostTensors, hostTensor } from '../../../runtime/index.js'
import { stageAt } from '../../../text/prompt/index.js'
import { placeOf } from '../../programs.js'
import { encodePixels } from '../encode.js'
import { gathered, rows } from '../network/rows.js'
import { joined } from '../noise.js'
import type { Stage } from '../stage.js'
import { fitted, phraseContexts, prolonged, widthOf } from './texts.js'

/** What the network is told of a batch at some call. */
export interface Told {
  /** Its inputs beside latents and time: of all pictures by each of `weights`, then of what guidance leads away from. */
  readonly inputs: HostTensors
  /** How much each of the conditions of a picture counts. */
  readonly weights: readonly number[]
  /** Whether there is something to lead away from. */
  readonly negative: boolean
}

/** A condition of a row of the network's batch, and the rows of the embedded conditions that it is made of: [stages][chunks]. */
interface Line {
  readonly phrase: SpokenPhrase | undefined
  readonly rows: readonly (readonly number[])[]
}

/** What the conditions of some pictures become in the network, at each of its calls, counted from 0. */
export async function tell(stage: Stage, asked: readonly Asked[]): Promise<(call: number) => Told> {
  const phrases = asked[0]!.spoken?.positive ?? [{ weight: 1 }]
  const weights = phrases.map(({ weight }) => weight)
  // Several phrases, or one that counts other than 1, lead away from the negative prompt whatever the guidance.
  const { guidance, guidanceMethod } = stage.plan
  const negative = guidance !== 1 || guidanceMethod === 'cfg++' || weights.length > 1 || weights[0] !== 1
  const book = rows()
  const line = (base: Numbers, phrase: SpokenPhrase | undefined): Line => ({
    phrase,
    rows: phrase?.stages.map(({ chunks }) => chunks.map(({ numbers }) => book.of({ ...base, ...numbers }))) ?? [
      [book.of(base)],
    ],
  })
  const positives = phrases.flatMap((_, i) => asked.map(({ positive, spoken }) => line(positive, spoken?.positive[i])))
  const negatives = () => asked.map(({ positive, negative = positive, spoken }) => line(negative, spoken?.negative))
  const lines = negative ? [...positives, ...negatives()] : positives
  const { positive, spoken } = asked[0]!
  const nothing = spoken && !plainly(lines) ? book.of({ ...positive, ...spoken.empty }) : 0
  const embedded = await embed(stage, book.all, 2 * asked.length)
  const { context, ...rest } = embedded
  const contexts =
    context && spoken
      ? textContexts(stage, { context, spoken, lines, positives: positives.length, nothing })
      : (rows: readonly number[]) => context && gathered(context, rows)

  let last: { readonly key: string; readonly told: Told } | undefined
  return call => {
    const stages = lines.map(({ phrase }) => (phrase ? stageAt(phrase.stages, call) : 0))
    const key = String(stages)
    if (last?.key === key) return last.told
    const firsts = lines.map(({ rows }, i) => rows[stages[i]!]![0]!)
    const told = contexts(firsts, stages)
    const inputs = {
      ...Object.fromEntries(Object.entries(rest).map(([name, parts]) => [name, gathered(parts, firsts)])),
      ...(told && { context: told }),
    }
    last = { key, told: { inputs, weights, negative } }
    return last.told
  }
}

/** Whether all texts are of one chunk, as they stand. */
const plainly = (lines: readonly Line[]): boolean =>
  lines.every(({ phrase }) =>
    phrase?.stages.every(({ chunks: [only, ...more] }) => more.length === 0 && only!.weights.every(w => w === 1)),
  )

/** The outputs of the conditions' program for rows of numbers, so many of them at a time. */
async function embed(
  stage: Stage,
  rows: readonly Numbers[],
  most: number,
): Promise<Readonly<Record<string, readonly HostTensor[]>>> {
  const { model, plan, parts, signal } = stage
  const { config } = model
  const run = await parts.get('conditions')
  if (run === undefined) return {}
  const specs = inputsOf(config.conditioning, placeOf(config, plan))
  const all: Record<string, HostTensor[]> = {}
  for (let i = 0; i < rows.length; i += most) {
    const given = stack(specs, rows.slice(i, i + most))
    const moments: Record<string, HostTensor> = {}
    for (const name of parts.variant.tile ? encodedInputs(config.conditioning) : [])
      moments[name] = await encodePixels(stage, given[name]!)
    const out = await run({ ...given, ...moments }, { signal })
    for (const [name, tensor] of Object.entries(out)) all[name] = [...(all[name] ?? []), tensor]
  }
  return all
}

interface TextContexts {
  readonly context: readonly HostTensor[]
  readonly spoken: Spoken
  readonly lines: readonly Line[]
  /** How many of the lines are what the pictures are of. */
  readonly positives: number
  /** The row of no text. */
  readonly nothing: number
}

/** The contexts of lines at some stage of each, as long as the network wants them. */
function textContexts({ model, parts }: Stage, { context, spoken, lines, positives, nothing }: TextContexts) {
  const shape = textShapeOf(model.config.conditioning)!
  const width = widthOf(shape)
  const others = context[0]!.shape[1]! - shape.length
  const tokens = (parts.variant.chunks ?? 1) * shape.length + others
  const vectors = (row: number) => gathered(context, [row]).data as Float32Array
  const of = (row: number) => vectors(row).subarray(0, shape.length * width)
  const empty = () => of(nothing)
  const made = new Map<string, readonly Float32Array[]>()
  const texts = lines.map(({ phrase, rows }) => {
    const key = JSON.stringify([rows, phrase!.stages.map(({ chunks }) => chunks.map(({ weights }) => [...weights]))])
    const known = made.get(key) ?? phraseContexts(phrase!, rows, { shape, weigh: spoken.weigh, of, empty })
    made.set(key, known)
    return known
  })
  return (rows: readonly number[], stages: readonly number[]): HostTensor => {
    const said = texts.map((text, i) => text[stages[i]!]!)
    const longest = Math.max(...said.slice(0, positives).map(({ length }) => length))
    const each = said.map((text, i) => {
      const rest = vectors(rows[i]!).subarray(shape.length * width)
      return fitted(i < positives ? prolonged(text, longest, width) : text, rest, tokens * width, empty)
    })
    return hostTensor(joined(each), [lines.length, tokens, width])
  }
}
