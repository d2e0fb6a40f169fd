import type { Request, SpokenOver, SpokenPhrase } from '../../conditioning/index.js'
import type { Image } from '../../image/index.js'
import { withoutNetworks } from '../../text/prompt/index.js'
import { placeOf } from '../programs.js'
import { withNeighbours } from '../retrieval.js'
import { callsOf } from './calls.js'
import { conditionChance } from './noise.js'
import type { Batch, Stage, Work } from './stage.js'
import { type Told, tell } from './told.js'

/** The conditions of a batch. */
export interface BatchConditions {
  /** What holds at a call of the network, counted from 0; the same object as long as nothing changes. */
  at(call: number): Told
  /** What is done to the i-th finished picture. */
  finish(picture: Image, i: number): Image
}

/** The conditions of a generation. */
export interface Conditions {
  /** Tokens of the prompt that did not fit. */
  readonly leftOut: number
  /** How many chunks of text the contexts have that occur. */
  readonly chunks: readonly number[]
  of(stage: Stage, batch: Batch): Promise<BatchConditions>
}

/**
 * Reads what a plan's request says to its model.
 *
 * @throws LatentkitError where something is missing or does not fit.
 */
export async function openConditions({ model, plan, device, signal }: Work): Promise<Conditions> {
  const { config, checkpoint } = model
  const given = await withNeighbours(plan.request, config.conditioning, { device, checkpoint, signal })
  const request: Request & Partial<SpokenOver> = { ...saidTo(model, given), calls: callsOf(plan) }
  const place = placeOf(config, plan)
  const ask = (seed: number) => model.conditions.ofRequest(request, place, conditionChance(seed))
  const { leftOut = 0, spoken } = ask(plan.seeds[0]!)
  const chunksOf = (phrase: SpokenPhrase) => phrase.stages[0]!.chunks.length
  return {
    leftOut,
    chunks: spoken ? [Math.max(...spoken.positive.map(chunksOf)), chunksOf(spoken.negative)] : [1],
    async of(stage, { seeds }) {
      const asked = seeds.map(ask)
      const told = await tell(stage, asked)
      return { at: told, finish: (picture, i) => asked[i]!.finish?.(picture) ?? picture }
    },
  }
}

/** A request whose prompt is without what A1111 takes out of it. */
function saidTo({ added }: Work['model'], request: Request): Request {
  if (request.promptStyle !== 'a1111') return request
  const loras = added?.Lora?.split(', ') ?? []
  return {
    ...request,
    prompt: withoutNetworks(request.prompt, ({ name, weight }) => loras.includes(`${name}:${weight}`)),
  }
}
