import assert from 'node:assert/strict'
import { test } from 'node:test'
import { combine, samplingPlan } from '../diffusion/index.js'
import { drawing } from '../testing/values.js'
import { sample } from './table.js'

const alphasCumprod = Float64Array.from({ length: 1000 }, (_, t) => Math.cos((Math.PI / 2) * ((t + 1) / 1001)) ** 2)
const drawn = (seed: number) => Float32Array.from(drawing(seed).normal(6).data)

test('DDIM with the noise of another prediction is Euler’s CFG++ over noise levels', async () => {
  // Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_euler_cfg_pp: x = denoised + sigma_next (x - uncond) / sigma.
  const steps = samplingPlan(alphasCumprod, { steps: 5 })
  const start = drawn(1)
  const answers = (x: Float32Array, t: number) => {
    const [image, noise] = [0.3, 0.7].map(by => x.map((v, i) => Math.tanh(by * v + 0.1 * i + t / 2000)))
    return { image: image!, noise: noise! }
  }
  let found: Float32Array = start
  const model = { network: answers, parameterization: 'epsilon', alphasCumprod } as const
  for await (const { x } of sample('ddim', model, start, steps, { noise: () => drawn(2), eta: 0 })) found = x

  let x: Float32Array = start.map(v => v / steps[0]!.from.alpha)
  for (const { from, to } of steps) {
    const [sigma, next] = [from.sigma / from.alpha, to.sigma / to.alpha]
    const { image, noise } = answers(
      x.map(v => v * from.alpha),
      from.t,
    )
    const [denoised, unconditional] = [image, noise].map(epsilon => combine(1, x, -sigma, epsilon)) as [
      Float32Array,
      Float32Array,
    ]
    x = x.map((v, i) => denoised[i]! + (next * (v - unconditional[i]!)) / sigma)
  }
  for (const [i, v] of x.entries())
    assert.ok(Math.abs(found[i]! - v * steps.at(-1)!.to.alpha) < 1e-4, `${found[i]}, wanted ${v}`)
})
