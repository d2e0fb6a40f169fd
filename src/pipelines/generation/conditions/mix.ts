import { combine } from '../../../diffusion/index.js'
import { LatentkitError } from '../../../platform/errors.js'
import { type HostTensors, hostTensor } from '../../../runtime/index.js'
import type { Work } from '../stage.js'
import { type Conditions, openConditions } from './conditions.js'
import type { Told } from './told.js'

/** The conditions of a plan, between those of its two prompts where it has a second one. */
export async function openMixed(work: Work): Promise<Conditions> {
  const { plan } = work
  const { toPrompt, toShare } = plan
  const from = await openConditions(work)
  if (toPrompt === undefined) return from
  const to = await openConditions({ ...work, plan: { ...plan, request: { ...plan.request, prompt: toPrompt } } })
  return {
    leftOut: Math.max(from.leftOut, to.leftOut),
    chunks: [...from.chunks, ...to.chunks],
    ask(batch, noise) {
      const [tellFrom, tellTo] = [from.ask(batch, noise), to.ask(batch, noise)]
      return async stage => {
        const [a, b] = [await tellFrom(stage), await tellTo(stage)]
        let last: { a: Told; b: Told; told: Told } | undefined
        return {
          ...a,
          at(call) {
            const both = { a: a.at(call), b: b.at(call) }
            if (last?.a !== both.a || last.b !== both.b) last = { ...both, told: between(both.a, both.b, toShare) }
            return last.told
          },
        }
      }
    },
  }
}

function between(a: Told, b: Told, share: number): Told {
  if (a.weights.length !== b.weights.length)
    throw new LatentkitError(
      `generate: there is nothing between a prompt of ${a.weights.length} parts and one of ${b.weights.length}; join as many by AND`,
    )
  const weights = a.weights.map((weight, i) => (1 - share) * weight + share * b.weights[i]!)
  return { ...a, weights, inputs: inputsBetween(a.inputs, b.inputs, share) }
}

/** Numbers lie between; what counts things, such as labels, is of the nearer one. */
function inputsBetween(a: HostTensors, b: HostTensors, share: number): HostTensors {
  return Object.fromEntries(
    Object.entries(a).map(([name, from]) => {
      const to = b[name]!
      if (String(from.shape) !== String(to.shape))
        throw new LatentkitError(
          `generate: the prompts are of different length ("${name}" is [${from.shape.join(', ')}] and [${to.shape.join(', ')}]); bring them to as many tokens`,
        )
      if (!(from.data instanceof Float32Array && to.data instanceof Float32Array))
        return [name, share < 0.5 ? from : to]
      return [name, hostTensor(combine(1 - share, from.data, share, to.data), from.shape)]
    }),
  )
}
