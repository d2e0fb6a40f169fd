import assert from 'node:assert/strict'
import { test } from 'node:test'
import { target } from '../diffusion/parameterization.js'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { f32, i64 } from '../tensor/tensor.js'
import { drawing } from '../testing/values.js'
import { addNoise, diffusionLoss, learnedLogvar, predictionTarget, sampleErrors } from './diffusion.js'

const list = (...data: number[]) => ({ shape: [data.length], data: Float64Array.from(data) })

test('noisy latents and targets are those of the samplers', () => {
  const x0 = drawing(1).normal(2, 1, 1, 2)
  const noise = drawing(2).normal(2, 1, 1, 2)
  const level = { alpha: 0.8, sigma: 0.6 }
  for (const parameterization of ['epsilon', 'x0', 'v'] as const) {
    const specs = { x0: f32(...x0.shape), noise: f32(...noise.shape), alpha: f32(2), sigma: f32(2) }
    const { outputs } = trace(specs, (_, given) => ({
      noisy: addNoise(given),
      target: predictionTarget(parameterization, given),
    }))
    const values = { x0, noise, alpha: list(level.alpha, 1), sigma: list(level.sigma, 0) }
    const [noisy, ours] = evaluate([outputs.noisy!, outputs.target!], values)
    const first = (x: { data: Float64Array }) => Float32Array.from(x.data.subarray(0, 2))
    const wanted = target(first(x0), first(noise), level, parameterization)
    assert.deepEqual(first(ours!), wanted)
    assert.deepEqual(noisy!.data.subarray(2), x0.data.subarray(2))
  }
})

test('errors are means over samples; weights, bound and learned log variance enter as the original has them', () => {
  const output = { shape: [2, 1, 1, 2], data: Float64Array.of(1, 1, 0, 4) }
  const wanted = { shape: [2, 1, 1, 2], data: Float64Array.of(0, 0, 0, 0) }
  const specs = { output: f32(2, 1, 1, 2), wanted: f32(2, 1, 1, 2), weights: f32(2), t: i64(2) }
  const { outputs } = trace(specs, (at, { output, wanted, weights, t }) => {
    const errors = sampleErrors(output, wanted)
    const logvar = learnedLogvar(at, t, { timesteps: 3 })
    return {
      l1: sampleErrors(output, wanted, 'l1'),
      plain: diffusionLoss(errors),
      weighted: diffusionLoss(errors, { weights }),
      bound: diffusionLoss(errors, { simple: 0.5, elbo: { terms: weights, weight: 0.1 } }),
      learned: diffusionLoss(errors, { logvar }),
    }
  })
  const values = evaluate(Object.values(outputs), {
    output,
    wanted,
    weights: list(3, 0),
    t: list(2, 0),
    logvar: list(0, 5, 1),
  })
  const [l1, ...losses] = values.map(({ data }) => [...data])
  assert.deepEqual(l1, [1, 2])
  const learned = (1 / Math.E + 1 + 8) / 2
  for (const [i, expected] of [4.5, 1.5, 0.5 * 4.5 + 0.1 * 1.5, learned].entries()) {
    assert.ok(Math.abs(losses[i]![0]! - expected) < 1e-12, `${losses[i]} instead of ${expected}`)
  }
})
