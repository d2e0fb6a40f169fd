import { baseName } from '#platform'
import type { Asked, Request, SpokenOver, SpokenPhrase } from '../../../conditioning/index.js'
import type { Image } from '../../../image/index.js'
import type { BatchNoise, Draw } from '../../../samplers/index.js'
import { type PromptStyle, promptStyles, withoutNetworks } from '../../../text/prompt/index.js'
import { strengthText } from '../../../weights/adapters/index.js'
import { placeOf } from '../../programs.js'
import { withNeighbours } from '../../retrieval.js'
import { conditionChance } from '../noise.js'
import type { Batch, Stage, Work } from '../stage.js'
import { callsOf } from './calls.js'
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
  /** Asks for the conditions of a batch; embedded they are when the pictures have their start, for some draw after that. */
  ask(batch: Batch, noise: BatchNoise): (stage: Stage) => Promise<BatchConditions>
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
  const ask = (seed: number, draw?: Draw) => model.conditions.ofRequest(request, place, conditionChance(seed), draw)
  const { leftOut = 0, spoken } = ask(plan.seeds[0]!)
  const chunksOf = (phrase: SpokenPhrase) => phrase.stages[0]!.chunks.length
  return {
    leftOut,
    chunks: spoken ? [Math.max(...spoken.positive.map(chunksOf)), chunksOf(spoken.negative)] : [1],
    ask({ seeds }, { conditions: draws }) {
      const asked = seeds.map((seed, i) => ask(seed, draws?.[i]))
      return async stage => {
        const told = await tell(stage, asked.map(withLate))
        return { at: told, finish: (picture, i) => asked[i]!.finish?.(picture) ?? picture }
      }
    },
  }
}

/** What is asked with the numbers that are drawn only once the start is. */
function withLate({ late, ...asked }: Asked): Asked {
  if (late === undefined) return asked
  const numbers = late()
  const { positive, negative } = asked
  return { ...asked, positive: { ...positive, ...numbers }, negative: negative && { ...negative, ...numbers } }
}

/** A request whose prompt is without the LoRAs that its style names in it. */
function saidTo({ added }: Work['model'], request: Request): Request {
  const { promptStyle } = request as Partial<SpokenOver>
  const style: PromptStyle | undefined = promptStyle && promptStyles[promptStyle]
  if (!style?.namesNetworks) return request
  const loras = added?.Lora?.split(', ') ?? []
  return {
    ...request,
    prompt: withoutNetworks(request.prompt, ({ name, ...strength }) =>
      loras.includes(`${baseName(name)}:${strengthText(strength)}`),
    ),
  }
}
