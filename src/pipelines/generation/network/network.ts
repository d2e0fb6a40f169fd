import { combine, type Level } from '../../../diffusion/index.js'
import type { Attended } from '../../../guidance/index.js'
import type { HostTensor } from '../../../runtime/index.js'
import { dynamicThreshold, type SamplingModel, samplingNetwork } from '../../../samplers/index.js'
import { weaknessesOf } from '../../network-variant.js'
import type { Plan } from '../../settings/plan.js'
import type { BatchConditions } from '../conditions/conditions.js'
import type { Told } from '../conditions/told.js'
import type { Guidance } from '../guidance/contract.js'
import { joined } from '../noise.js'
import type { Batch, Stage } from '../stage.js'
import { openWindowedAsking } from '../windows/asking.js'
import { type Ask, type Block, openAsking, type Question, type Reply } from './asking.js'

/** The network of a batch with all that guides it, as samplers ask it: its calls are counted for what it is told. */
export async function guidedNetwork(
  stage: Stage,
  batch: Batch,
  { conditions, guidances }: GuidedOptions,
): Promise<Pick<SamplingModel, 'network' | 'parameterization' | 'limit'>> {
  const { plan, model, parts } = stage
  const open = parts.variant.window ? openWindowedAsking : openAsking
  const ask = await open(stage, batch)
  // Deep features of the first question are of no use to the second.
  const askAgain = plan.sag > 0 ? await open(stage, batch) : ask
  const { parameterization: prediction, timesteps } = model.config.diffusion!
  let calls = 0
  const asking = (to: Ask, question: Question) => {
    let reply: Reply
    const network = async (x: Float32Array, t: number) => {
      reply = await to(x, t, question)
      return reply.prediction
    }
    return { ...samplingNetwork(network, prediction, timesteps), attended: () => reply.attended }
  }
  const everything = { told: conditions.at(0), blocks: [] }
  return {
    parameterization: asking(ask, everything).parameterization,
    limit:
      plan.threshold === undefined ? undefined : dynamicThreshold(plan.threshold, plan.thresholdMost, batch.shape[0]),
    async network(x, t, level) {
      const told = conditions.at(calls++)
      const leads = leadsAt(plan, level)
      const blocks = blocksOf(told, { leads, weaknesses: weaknessesOf(plan).length })
      const { network, parameterization, attended } = asking(ask, { told, blocks })
      const raw = await network(joined(blocks.map(() => x)), t)
      const { conditional, unconditional, weakened } = answers(raw, told, blocks)
      const base = unconditional ? told.weights.length : 0
      const again = asking(askAgain, { told, blocks: [{ told: base, weak: 0 }] })
      const asked = {
        ...{ x, t, level, leads, parameterization, shape: batch.shape, told },
        attended: () => rowsOf(attended()!, base, blocks),
        again: async (x: Float32Array) => again.network(x, t),
      }
      let led = conditional
      for (const { lead } of guidances) led = await lead({ ...asked, conditional, unconditional, weakened, led })
      // CFG++ (Chung et al. 2024, algorithm 2): the image is the guided one's, the noise that is added again is not.
      return plan.guidanceMethod === 'cfg++' && unconditional && leads ? { image: led, noise: unconditional } : led
    },
  }
}

/** Whether anything leads at a level (Kynkäänniemi et al. 2024, "Applying guidance in a limited interval"). */
function leadsAt({ guidanceFrom = Infinity, guidanceTo = 0 }: Plan, { alpha, sigma }: Level): boolean {
  const noise = sigma / alpha
  return noise <= guidanceFrom && noise >= guidanceTo
}

/** What is asked at a level: all conditions, what they lead away from, and all conditions of weaker copies. */
function blocksOf(
  { weights, negative }: Told,
  { leads, weaknesses }: { leads: boolean; weaknesses: number },
): readonly Block[] {
  const conditional = (weak: number) => weights.map((_, told) => ({ told, weak }))
  // Several conditions lead away from none, whether guidance does or not.
  const away = negative && (leads || weights.length > 1 || weights[0] !== 1)
  return [
    ...conditional(0),
    ...(away ? [{ told: weights.length, weak: 0 }] : []),
    ...(leads ? Array.from({ length: weaknesses }, (_, i) => conditional(i + 1)).flat() : []),
  ]
}

/** What of a reply is of the conditions at a place. */
function rowsOf({ data, shape }: HostTensor, told: number, blocks: readonly Block[]): Attended {
  const place = blocks.findIndex(block => block.told === told && block.weak === 0)
  const [rows, ...map] = shape as [number, number, number]
  const size = data.length / blocks.length
  return {
    data: (data as Float32Array).subarray(place * size, (place + 1) * size),
    shape: [rows / blocks.length, ...map],
  }
}

/** The predictions that an answer is made of. */
function answers(raw: Float32Array, { weights }: Told, blocks: readonly Block[]) {
  const size = raw.length / blocks.length
  const of = (wanted: (block: Block) => boolean) =>
    blocks.flatMap((block, i) => (wanted(block) ? [raw.subarray(i * size, (i + 1) * size)] : []))
  const [unconditional] = of(({ told }) => told === weights.length)
  const conditional = (copy: number) => {
    const predictions = of(({ told, weak }) => told < weights.length && weak === copy)
    return together(
      predictions.map((prediction, i) => ({ prediction, weight: weights[i]! })),
      unconditional,
    )
  }
  const copies = Math.max(...blocks.map(({ weak }) => weak))
  return {
    unconditional,
    conditional: conditional(0),
    weakened: Array.from({ length: copies }, (_, i) => conditional(i + 1)),
  }
}

interface GuidedOptions {
  readonly conditions: BatchConditions
  readonly guidances: readonly Guidance[]
}

/**
 * Predictions under several conditions as one: each leads away from the unconditional one by its weight (Liu et al. 2022,
 * "Compositional visual generation with composable diffusion models", eq. 11), which is there unless one alone counts in full.
 */
function together(
  parts: readonly { weight: number; prediction: Float32Array }[],
  unconditional: Float32Array | undefined,
): Float32Array {
  const [first, ...others] = parts
  if (unconditional === undefined || (others.length === 0 && first!.weight === 1)) return first!.prediction
  const sum = parts.reduce((sum, { weight }) => sum + weight, 0)
  const none = combine(1 - sum, unconditional, 0, unconditional)
  return parts.reduce((all, { weight, prediction }) => combine(1, all, weight, prediction), none)
}
