import { levelOfSigma } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { scale } from '../model.js'
import { deis } from '../multistep/deis.js'
import { dpmMultistep } from '../multistep/dpm-multistep.js'
import { dpmppMultistep } from '../multistep/dpmpp-multistep.js'
import type { MultistepOptions } from '../multistep/orders.js'
import { unipc } from '../multistep/unipc.js'
import { flowPredictor } from '../preconditioning.js'
import { dpmppSinglestep } from '../single-step/dpmpp-singlestep.js'
import { type DiffusersSetting, drawingLast, flowLevel, limitOf, predictOf, unheard, watched } from './setting.js'

/** The solvers whose batches are alpha of the image and sigma of the noise: of unit variance, or along a flow. */
export async function* inShares(setting: DiffusersSetting, x: Float32Array): Sampling {
  const { config, plan, network } = setting
  const levels = Array.from(plan.sigmas!, config.use_flow_sigmas ? flowLevel : levelOfSigma)
  const limit = limitOf(setting)
  const predict =
    config.prediction_type === 'flow_prediction' ? watched(flowPredictor(network, limit), setting) : predictOf(setting)
  let asked = 0
  const denoise: Denoise = async batch => {
    const level = levels[asked++]!
    return (await predict(scale(batch, level.alpha), { t: unheard, ...level })).x0
  }
  const sigmas = levels.map(({ alpha, sigma }) => sigma / alpha)
  let i = 0
  for await (const step of solver(setting, denoise, scale(x, 1 / levels[0]!.alpha), sigmas)) {
    i++
    yield { x: scale(step.x, levels[i]!.alpha), x0: step.x0 }
  }
}

/** The multistep or singlestep solver that a configuration names. */
export function solver(
  { scheduler, config, plan, noise }: DiffusersSetting,
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number> = plan.sigmas!,
): Sampling {
  const { algorithm_type: algorithm } = config
  const order = config.solver_order
  const solverType = config.solver_type === 'heun' ? 'heun' : 'midpoint'
  const few = plan.timesteps.length < 15
  const eta = algorithm.startsWith('sde') ? 1 : 0
  // Its SDE steps of third order subtract the half that the integral adds.
  const bend = eta > 0 ? -1 / 2 : 1 / 2
  const toClean = sigmas[sigmas.length - 1] === 0
  const multistep: MultistepOptions = {
    order,
    lowerOrderFinal: config.lower_order_final && few,
    eulerAtFinal: config.euler_at_final,
  }
  if (scheduler === 'DEISMultistepScheduler') return deis(denoise, x, sigmas, multistep)
  if (scheduler === 'UniPCMultistepScheduler') {
    return unipc(denoise, x, sigmas, {
      order,
      lowerOrderFinal: config.lower_order_final,
      variant: config.solver_type === 'bh1' ? 'bh1' : 'bh2',
      data: config.predict_x0,
      uncorrected: config.disable_corrector,
    })
  }
  if (scheduler === 'DPMSolverSinglestepScheduler') {
    const lowerOrderFinal =
      config.lower_order_final || config.final_sigmas_type === 'zero' || plan.timesteps.length % order !== 0
    const options = {
      order,
      solver: solverType,
      lowerOrderFinal,
      data: algorithm !== 'dpmsolver',
      eta,
      noise,
      bend,
    } as const
    const run = dpmppSinglestep(denoise, x, sigmas, options)
    return eta > 0 && toClean ? drawingLast(run, noise) : run
  }
  const options = { ...multistep, solver: solverType, eta, noise, bend } as const
  const sampling = algorithm.endsWith('++') || algorithm === 'deis' ? dpmppMultistep : dpmMultistep
  const run = sampling(denoise, x, sigmas, options)
  return eta > 0 && toClean ? drawingLast(run, noise) : run
}
