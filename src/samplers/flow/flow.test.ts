import assert from 'node:assert/strict'
import { test } from 'node:test'
import { modelSchedule, samplingPlan } from '../../diffusion/index.js'
import { samplers, samplingNetwork } from '../index.js'
import { predictor } from '../model.js'
import { type SamplerName, sample } from '../table.js'
import { ddim } from '../timesteps/ddim.js'

const timesteps = 1000
const { alphas, sigmas, alphasCumprod } = modelSchedule({
  parameterization: 'flow',
  beta_schedule: 'linear',
  timesteps,
})

test('a rectified flow ends in noise alone, and is a schedule of unit variance when scaled', () => {
  assert.deepEqual([sigmas[0], sigmas[999], alphas[999], alphasCumprod[999]], [0.001, 1, 0, 0])
  assert.ok(Math.abs(alphasCumprod[499]! - 0.5) < 1e-12)
})

test("DDIM of a flow is Euler's method", async () => {
  // Any function of place and time will do, linear ones would hide a wrong scale.
  const velocity = (x: Float32Array, s: number) => x.map((value, i) => Math.sin(2 * value + i) + s)
  const model = samplingNetwork((x, t) => velocity(x, (t + 1) / timesteps), 'flow', timesteps)
  const plan = samplingPlan(alphasCumprod, { steps: 10 })
  const start = Float32Array.of(-1.5, -0.3, 0.2, 1.4)
  let x: Float32Array = start
  for await (const step of ddim(predictor(model.network, model), start, plan)) x = step.x

  let wanted: Float32Array = start
  const times = [...plan.map(({ from }) => (from.t + 1) / timesteps), 0]
  assert.equal(times[0], 1)
  for (const [i, s] of times.slice(0, -1).entries()) {
    const v = velocity(wanted, s)
    wanted = wanted.map((value, j) => value + (times[i + 1]! - s) * v[j]!)
  }
  for (const [i, value] of x.entries()) assert.ok(Math.abs(value - wanted[i]!) < 1e-5, `${value}, wanted ${wanted[i]}`)
})

for (const name of Object.keys(samplers) as SamplerName[]) {
  test(`${name} follows a flow to the only image there is`, async () => {
    const image = Float32Array.of(0.7, -0.4, 0.1)
    const flow = (x: Float32Array, t: number) => x.map((value, i) => ((value - image[i]!) * timesteps) / (t + 1))
    const model = { ...samplingNetwork(flow, 'flow', timesteps), alphasCumprod }
    let draws = 0
    const noise = () => Float32Array.from({ length: 3 }, () => Math.sin(draws++ * 12.9898))
    let x = Float32Array.of(1, -1, 0.5) as Float32Array
    for await (const step of sample(name, model, x, samplingPlan(alphasCumprod, { steps: 8 }), { noise })) x = step.x
    for (const [i, value] of x.entries()) assert.ok(Math.abs(value - image[i]!) < 0.02, `${name}: ${[...x]}`)
  })
}
