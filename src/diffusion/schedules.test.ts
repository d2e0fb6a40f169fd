import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { betaQuantile } from './beta-quantile.js'
import {
  cumulativeAlphas,
  ddimParameters,
  ddimTimesteps,
  ddpmBuffers,
  discreteSigmas,
  karrasSigmas,
  makeBetas,
  minSnrWeight,
  rescaleZeroTerminalSnr,
  schedulePlan,
  schedulerConfig,
  snr,
} from './index.js'
import { cumulativeAlphas32 } from './snr.js'

const stableDiffusion = { beta_schedule: 'linear', timesteps: 1000, linear_start: 0.00085, linear_end: 0.012 } as const
const alphas = cumulativeAlphas(makeBetas(stableDiffusion))

test("Stable Diffusion's schedule has its well-known ends", () => {
  assert.ok(Math.abs(alphas[0]! - 0.99915) < 1e-12)
  assert.ok(Math.abs(alphas[999]! - 0.0046600983) < 1e-9)
  const { sigmas } = discreteSigmas(alphas)
  assert.ok(Math.abs(sigmas[0]! - 0.0291675) < 1e-6)
  assert.ok(Math.abs(sigmas[999]! - 14.6146415) < 1e-5)
})

test('Karras levels are those of the published example', () => {
  const expected = [14.61464, 9.10293, 5.4784, 3.16861, 1.74942, 0.914077, 0.446921, 0.2014, 0.081911, 0.0291675, 0]
  const ours = karrasSigmas(10, 0.0291675, 14.614642)
  for (const [i, value] of expected.entries())
    assert.ok(Math.abs(ours[i]! - value) < 2e-5, `${ours[i]} against ${value}`)
})

test('every schedule falls from almost 1 towards 0', () => {
  for (const beta_schedule of ['linear', 'cosine', 'sqrt_linear'] as const) {
    const bars = cumulativeAlphas(makeBetas({ ...stableDiffusion, beta_schedule }))
    assert.ok(bars[0]! > 0.99 && bars.at(-1)! < 0.02, beta_schedule)
    assert.ok(bars.every((bar, i) => i === 0 || bar < bars[i - 1]!))
  }
})

test('the posterior mean of x0 and x is unbiased: its coefficients meet x = alpha x0 + sigma noise', () => {
  const b = ddpmBuffers(stableDiffusion)
  for (const t of [1, 10, 500, 999]) {
    const mean = b.posteriorMeanCoef1[t]! + b.posteriorMeanCoef2[t]! * b.sqrtAlphasCumprod[t]!
    assert.ok(Math.abs(mean - Math.sqrt(b.alphasCumprodPrev[t]!)) < 1e-5)
  }
})

test('levels and timesteps go there and back', () => {
  const discrete = discreteSigmas(alphas)
  fc.assert(
    fc.property(fc.double({ min: 20, max: 999, noNaN: true }), t => {
      assert.ok(Math.abs(discrete.sigmaToT(discrete.tToSigma(t)) - t) < 0.01)
    }),
  )
  assert.equal(discrete.sigmaToT(1e-6), 0)
  assert.equal(discrete.sigmaToT(1e6), 999)
})

test('min-SNR weighs the x0 error by min(snr, gamma) whatever is predicted', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true }), bar => {
      const capped = Math.min(snr(bar), 5)
      // d x0 / d epsilon squared is 1 / snr, d x0 / d v squared is sigma^2 = 1 / (snr + 1).
      assert.ok(Math.abs(minSnrWeight(bar, 5, 'x0') - capped) < 1e-9)
      assert.ok(Math.abs(minSnrWeight(bar, 5, 'epsilon') * snr(bar) - capped) < 1e-6)
      assert.ok(Math.abs(minSnrWeight(bar, 5, 'v') * (snr(bar) + 1) - capped) < 1e-6)
    }),
  )
  assert.equal(minSnrWeight(0, 5, 'epsilon'), 1)
})

test('rescaling takes the last signal away and leaves the first', () => {
  const betas = Float32Array.from(makeBetas(stableDiffusion))
  const rescaled = cumulativeAlphas32(rescaleZeroTerminalSnr(betas))
  assert.equal(rescaled.at(-1), 0)
  assert.ok(Math.abs(rescaled[0]! - alphas[0]!) < 1e-6)
})

test('steps that run past the schedule are refused', () => {
  assert.equal(ddimTimesteps('uniform', 15, 1000).length, 16)
  assert.throws(() => ddimParameters(alphas, ddimTimesteps('uniform', 27, 1000), 0), /timestep 1000/)
  assert.throws(() => ddimTimesteps('uniform', 0, 1000), RangeError)
  assert.throws(() => schedulePlan('DDIMScheduler', schedulerConfig('DDIMScheduler', {}), 1001), RangeError)
  assert.throws(() => schedulerConfig('DDIMScheduler', { beta_schedule: 'quadratic' }), /beta_schedule/)
})

test('quantiles of the beta distribution: B(1/2, 1/2) is the arcsine law, B(1, 1) uniform', () => {
  for (const p of [1e-9, 0.001, 0.1, 0.25, 0.5, 0.77, 0.999]) {
    assert.ok(Math.abs(betaQuantile(p, 0.5) - Math.sin((p * Math.PI) / 2) ** 2) < 1e-12)
    assert.ok(Math.abs(betaQuantile(p, 1) - p) < 1e-12)
  }
})
