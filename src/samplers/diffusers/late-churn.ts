import { combine, parameterizationOf } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { euler } from '../single-step/euler.js'
import { type DiffusersSetting, denoiseOf, reached } from './setting.js'

/** diffusers' Euler asks the network before it adds the churn's noise, and converts the answer after. */
export function lateChurn(setting: DiffusersSetting, start: Float32Array, churn: number): Sampling {
  const { plan, step = {}, noise } = setting
  const before = denoiseOf(setting)
  const sigmas = reached(plan)
  // It is shared out over all levels, reached or not.
  const share = (sigmas.length - 1) / (plan.sigmas!.length - 1)
  let current = start
  let i = 0
  const late: Denoise = async (raised, sigma) => {
    const own = sigmas[i++]!
    const x0 = await before(current, own)
    return convertedLate(setting, x0, current, own, raised, sigma)
  }
  const options = {
    churn: churn * share,
    churnFrom: step.s_tmin,
    churnTo: step.s_tmax,
    noiseScale: step.s_noise,
    noise,
  }
  return remembering(euler(late, start, sigmas, options), x => {
    current = x
  })
}

async function* remembering(sampling: Sampling, remember: (x: Float32Array) => void): Sampling {
  for await (const step of sampling) {
    remember(step.x)
    yield step
  }
}

/** The image that a prediction made for x at sigma means for the raised batch. */
function convertedLate(
  { scheduler, config }: DiffusersSetting,
  x0: Float32Array,
  x: Float32Array,
  sigma: number,
  raised: Float32Array,
  raisedSigma: number,
): Float32Array {
  if (scheduler === 'EDMEulerScheduler') {
    const data = config.sigma_data ** 2
    const skip = data / (sigma ** 2 + data)
    const skipRaised = data / (raisedSigma ** 2 + data)
    const out = (raisedSigma / sigma) * Math.sqrt(skipRaised / skip)
    return combine(1, combine(out, x0, -out * skip, x), skipRaised, raised)
  }
  switch (parameterizationOf(config)) {
    case 'x0':
      return x0
    case 'v':
      return combine(1, x0, 1 / (sigma ** 2 + 1), combine(1, raised, -1, x))
    case 'epsilon':
      return combine(1, raised, -raisedSigma / sigma, combine(1, x, -1, x0))
  }
}
