import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cumulativeAlphas,
  discreteSigmas,
  exponentialSigmas,
  levelOfSigma,
  makeBetas,
  type Parameterization,
  type Step,
  samplingPlan,
  target,
} from '../diffusion/index.js'
import { torchGenerator } from '../random/index.js'
import { type SamplerName, sample, samplers } from './index.js'

/*
 * Pictures from a normal distribution: for them the best network is known, and so is where every path of noise ends. What
 * a sampler makes of that network can be held against the exact solution.
 */

const mean = 0.3
const deviation = 0.5

const alphasCumprod = cumulativeAlphas(
  makeBetas({ beta_schedule: 'linear', timesteps: 1000, linear_start: 0.00085, linear_end: 0.012 }),
)
const discrete = discreteSigmas(alphasCumprod)
const names = Object.keys(samplers) as SamplerName[]
/** Samplers that take the network for one that goes the whole way at once. */
const distilled: readonly SamplerName[] = ['lcm']

/** The best network: the expected image given x, or where x's path ends, in its parameterisation. */
function bestNetwork(name: SamplerName, parameterization: Parameterization) {
  return (x: Float32Array, t: number) => {
    const sigma = discrete.tToSigma(t)
    const level = levelOfSigma(sigma)
    const share = deviation ** 2 / (deviation ** 2 + sigma ** 2)
    const kept = distilled.includes(name) ? Math.sqrt(share) : share
    const image = x.map(value => mean + kept * (value / level.alpha - mean))
    const noise = x.map((value, i) => (value - level.alpha * image[i]!) / level.sigma)
    return target(image, noise, level, parameterization)
  }
}

/** Steps equal in log sigma that end at `low`, in coordinates of an image that is whole. */
function stepsTo(low: number, high: number, count: number): Step[] {
  const sigmas = [...exponentialSigmas(count + 1, low, high).subarray(0, -1)]
  const levels = sigmas.map(sigma => ({ t: discrete.sigmaToT(sigma), ...levelOfSigma(sigma) }))
  return levels.slice(1).map((to, i) => ({ from: levels[i]!, to }))
}

async function last(
  name: SamplerName,
  x: Float32Array,
  steps: readonly Step[],
  parameterization: Parameterization = 'x0',
) {
  const model = { network: bestNetwork(name, parameterization), parameterization, alphasCumprod }
  const g = torchGenerator(1)
  for await (const step of sample(name, model, x, steps, { noise: () => g.randn(x.length) })) x = step.x
  return x
}

const [low, high] = [0.5, 10]
/** The exact end of the probability flow from x at `high` to `low` (Karras et al. 2022, eq. 1), of unit variance. */
function exact(x: Float32Array): Float32Array {
  const spread = (sigma: number) => Math.sqrt(deviation ** 2 + sigma ** 2)
  const [from, to] = [levelOfSigma(high), levelOfSigma(low)]
  return x.map(value => to.alpha * (mean + ((value / from.alpha - mean) * spread(low)) / spread(high)))
}

/** The order with which a deterministic sampler nears the exact solution as its steps get smaller. */
const orders: Partial<Record<SamplerName, number>> = {
  ddim: 1,
  euler: 1,
  flow_euler: 1,
  plms: 2,
  flow_heun: 2,
  gradient_estimation: 1,
  heunpp2: 1,
  ipndm: 2,
  ipndm_v: 2,
  uni_pc_bh2: 2,
  res_multistep: 2,
  res_2s: 2,
  heun: 2,
  dpm_2: 2,
  dpmpp_2s: 2,
  dpmpp_2m: 2,
  dpmpp_2m_v2: 2,
  uni_pc: 2,
  deis: 2,
  // Its last step is of first order.
  dpm_fast: 2,
  lms: 3,
}

for (const [name, order] of Object.entries(orders) as [SamplerName, number][]) {
  test(`${name} nears the exact solution with order ${order}`, async () => {
    const start = Float32Array.of(-1.2, -0.4, 0.5, 1.5)
    const wanted = exact(start)
    const error = async (count: number) => {
      const ours = await last(name, start, stepsTo(low, high, count))
      return Math.max(...wanted.map((value, i) => Math.abs(value - ours[i]!)))
    }
    const [coarse, fine] = [await error(24), await error(48)]
    assert.ok(fine < 0.01, `in 48 steps it is ${fine} off`)
    const found = Math.log2(coarse / fine)
    assert.ok(found > order - 0.3, `half the step took the error down with order ${found}`)
  })
}

test('dpm_adaptive is as near as its tolerance asks', async () => {
  const start = Float32Array.of(-1.2, -0.4, 0.5, 1.5)
  const ours = await last('dpm_adaptive', start, stepsTo(low, high, 4))
  for (const [i, value] of exact(start).entries())
    assert.ok(Math.abs(value - ours[i]!) < 0.05 * Math.max(Math.abs(value), 1))
})

for (const name of names.filter(name => !(name in orders) && name !== 'dpm_adaptive')) {
  test(`${name} makes pictures that are distributed as those it was to learn from`, async () => {
    const steps = samplingPlan(alphasCumprod, { steps: 40, schedule: distilled.includes(name) ? 'trailing' : 'karras' })
    const x = await last(name, torchGenerator(5).randn(2000), steps)
    const average = x.reduce((sum, value) => sum + value, 0) / x.length
    const spread = Math.sqrt(x.reduce((sum, value) => sum + (value - average) ** 2, 0) / x.length)
    assert.ok(Math.abs(average - mean) < 0.05, `their mean is ${average}`)
    assert.ok(Math.abs(spread - deviation) < 0.06, `their deviation is ${spread}`)
  })
}

for (const name of names) {
  test(`${name} makes the same of a network whatever it predicts`, async () => {
    const start = torchGenerator(8).randn(6)
    const steps = samplingPlan(alphasCumprod, { steps: 6 })
    const wanted = await last(name, start, steps, 'x0')
    for (const parameterization of ['epsilon', 'v'] as const) {
      const ours = await last(name, start, steps, parameterization)
      const far = Math.max(...wanted.map((value, i) => Math.abs(value - ours[i]!)))
      // PLMS averages v where that is predicted, as diffusers does: another sampler.
      if (name !== 'plms' || parameterization !== 'v') assert.ok(far < 1e-4, `${parameterization}: ${far} off`)
    }
  })
}
