import { type Asked, inputsOf, stack } from '../../conditioning/index.js'
import type { Image } from '../../image/index.js'
import type { HostTensors } from '../../runtime/index.js'
import { placeOf } from '../programs.js'
import { withNeighbours } from '../retrieval.js'
import { conditionChance } from './noise.js'
import type { Batch, Stage, Work } from './stage.js'

/** What the network is told of a batch at some step. */
export interface Told {
  /** Its inputs beside latents and time: of all pictures by each of `weights`, then of what guidance leads away from. */
  readonly inputs: HostTensors
  /** How much each of the conditions of a picture counts. */
  readonly weights: readonly number[]
  /** Whether there is something to lead away from. */
  readonly negative: boolean
}

/** The conditions of a batch. */
export interface BatchConditions {
  /** What holds at a step, counted from 0; the same object as long as nothing changes. */
  at(step: number): Told
  /** What is done to the i-th finished picture. */
  finish(picture: Image, i: number): Image
}

/** The conditions of a generation. */
export interface Conditions {
  /** Tokens of the prompt that did not fit. */
  readonly leftOut: number
  of(stage: Stage, batch: Batch): Promise<BatchConditions>
}

/**
 * Reads what a plan's request says to its model.
 *
 * @throws LatentkitError where something is missing or does not fit.
 */
export async function openConditions({ model, plan, device, signal }: Work): Promise<Conditions> {
  const { config, checkpoint } = model
  const request = await withNeighbours(plan.request, config.conditioning, { device, checkpoint, signal })
  const place = placeOf(config, plan)
  const ask = (seed: number) => model.conditions.ofRequest(request, place, conditionChance(seed))
  return {
    leftOut: ask(plan.seeds[0]!).leftOut ?? 0,
    async of(stage, { seeds }) {
      const asked = seeds.map(ask)
      const told = await tell(stage, asked)
      return { at: () => told, finish: (picture, i) => asked[i]!.finish?.(picture) ?? picture }
    },
  }
}

/** What the conditions of some pictures become in the network and, with guidance, after them what their absence becomes. */
async function tell({ model, plan, parts, signal }: Stage, asked: readonly Asked[]): Promise<Told> {
  const negative = plan.guidance !== 1
  const embed = await parts.get('conditions')
  if (embed === undefined) return { inputs: {}, weights: [1], negative }
  const samples = asked.map(({ positive }) => positive)
  if (negative) samples.push(...asked.map(({ negative, positive }) => negative ?? positive))
  const specs = inputsOf(model.config.conditioning, placeOf(model.config, plan))
  return { inputs: await embed(stack(specs, samples), { signal }), weights: [1], negative }
}
