import { LatentkitError } from '../../platform/errors.js'
import { type BatchNoise, profiles, type SamplingModel } from '../../samplers/index.js'
import { latentShape } from '../programs.js'
import type { Plan } from '../settings/plan.js'
import { checkSides } from '../settings/size.js'
import { openMixed } from './conditions/mix.js'
import { openGuidances } from './guidance/chain.js'
import { guidedNetwork } from './network/network.js'
import { variantOf } from './parts.js'
import type { Batch, Start, Way, Work } from './stage.js'

/** What a model answers on a batch's way. */
type Network = Pick<SamplingModel, 'network' | 'parameterization'>

/** What a batch's refining needs to know of it. */
interface RefinedBatch {
  readonly batch: Batch
  readonly noise: BatchNoise
  /** What is put around the network of either model. */
  around(network: Network): Network
}

/** A refiner with all that it is told. Dispose of it when done. */
export interface Refiner extends AsyncDisposable {
  /** The way of a batch, gone by its own model first and then by the refiner. */
  of(way: Way, refined: RefinedBatch): Pick<Way, 'run'>
}

/**
 * Opens the refiner of a generation; undefined where it has none.
 *
 * @throws LatentkitError for a model of other latents, or one that cannot paint pictures of the size.
 */
export async function openRefiner(work: Work, start: Start): Promise<Refiner | undefined> {
  const { refinement, signal } = work
  if (refinement === undefined) return undefined
  const { width, height } = work.plan
  const own: Work = { ...refinement, plan: { ...refinement.plan, width, height }, signal }
  const [latents, wanted] = [own, work].map(({ model }) => latentShape(model.config, work.plan))
  if (String(latents) !== String(wanted))
    throw new LatentkitError(
      `generate: the refiner ${refinement.lender.name} works on latents [${latents!.join(', ')}] and the model on [${wanted!.join(', ')}]; take one of the same first stage`,
    )
  checkSides(own.model.config, own.plan)
  const conditions = await openMixed(own)
  const parts = await refinement.lender.lend(variantOf(own.model, own.plan, conditions.chunks))
  const stage = { ...own, parts: parts.value, latents: latents! }
  const guidances = await openGuidances({ ...stage, start }).catch(async error => {
    await parts[Symbol.asyncDispose]()
    throw error
  })
  return {
    of(way, { batch, noise, around }) {
      let calls = 0
      const counted = ({ network, ...rest }: Network): Network => ({
        ...rest,
        network: (...asked) => {
          calls++
          return network(...asked)
        },
      })
      // What is said over the steps goes on where the first model leaves it.
      async function refining(before: number): Promise<Network> {
        const told = await conditions.ask(batch, noise)(stage)
        const going = { ...told, at: (call: number) => told.at(call + before) }
        return around(await guidedNetwork(stage, batch, { conditions: going, guidances: guidances.all }))
      }
      return goes(work, way, { counted, refining: () => refining(calls) })
    },
    async [Symbol.asyncDispose]() {
      await guidances[Symbol.asyncDispose]()
      await parts[Symbol.asyncDispose]()
    },
  }
}

interface Changing {
  counted(network: Network): Network
  /** The refiner's network, from where the first one is. */
  refining(): Promise<Network>
}

const goes = (work: Work, way: Way, changing: Changing): Pick<Way, 'run'> =>
  work.plan.profile !== undefined && profiles[work.plan.profile].refines === 'anew'
    ? anew(work, way, changing)
    : onward(work, way, changing)

/**
 * One way on which the network changes, as A1111 has it (modules/sd_samplers_common.py, apply_refiner): samplers keep what
 * they know of earlier steps.
 */
function onward({ plan, model }: Work, way: Way, { counted, refining }: Changing): Pick<Way, 'run'> {
  const times = model.alphasCumprod.length
  const isLate = (t: number) => Math.fround((times - 1 - Math.round(t)) / times) >= Math.fround(plan.refineFrom)
  return {
    run(base, x, options) {
      const first = counted(base)
      let refined: Promise<Network> | undefined
      const network: Network['network'] = async (...asked) => {
        if (refined === undefined && isLate(asked[1])) refined = refining()
        const { network, parameterization } = (await refined) ?? first
        if (parameterization !== base.parameterization)
          throw new LatentkitError(
            `generate: the refiner predicts ${parameterization} and the model ${base.parameterization}; take a refiner that predicts the same`,
          )
        return network(...asked)
      }
      return way.run({ ...base, network }, x, options)
    },
  }
}

/**
 * Two ways, the refiner's beginning at what the first one left unfinished, as two pipelines of diffusers have it
 * (denoising_end and denoising_start of pipeline_stable_diffusion_xl.py and _img2img.py).
 */
function anew({ plan, model }: Work, way: Way, { counted, refining }: Changing): Pick<Way, 'run'> {
  const cut = cutOf(plan, way, model.alphasCumprod.length)
  return {
    async *run(base, x, options) {
      let taken = 0
      if (cut > 0)
        for await (const step of way.run(counted(base), x, options)) {
          x = step.x
          yield step
          if (++taken === cut) break
        }
      yield* way.run(await refining(), x, { ...options, from: cut })
    },
  }
}

/** How many steps are left to the first model. */
function cutOf({ refineFrom }: Plan, { path }: Way, times: number): number {
  const time = Math.round(times - refineFrom * times)
  const cut = path.findIndex(({ from }) => from.t < time)
  if (cut >= 0) return cut
  throw new LatentkitError(
    `generate: of ${path.length} steps none begins after ${refineFrom} of the way, where the refiner would go on; take more steps or a smaller refineFrom`,
  )
}
