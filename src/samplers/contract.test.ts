import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  cumulativeAlphas,
  cumulativeAlphas32,
  makeBetas,
  rescaleZeroTerminalSnr,
  type SamplingSchedule,
  samplingPlan,
} from '../diffusion/index.js'
import { torchGenerator } from '../random/index.js'
import { type Sampler, type SamplerName, sample, samplers } from './index.js'

const betas = makeBetas({ beta_schedule: 'linear', timesteps: 1000, linear_start: 0.00085, linear_end: 0.012 })
const alphasCumprod = cumulativeAlphas(betas)
const names = Object.keys(samplers) as SamplerName[]

async function result(
  name: SamplerName,
  network: (x: Float32Array, t: number) => Float32Array,
  start: Float32Array,
  { steps = 8, schedule = 'trailing' as SamplingSchedule, noise = () => start } = {},
) {
  const model = { network, parameterization: 'x0', alphasCumprod } as const
  let last = start
  let count = 0
  for await (const { x, x0 } of sample(name, model, start, samplingPlan(alphasCumprod, { steps, schedule }), {
    noise,
  })) {
    assert.equal(x.length, start.length)
    assert.equal(x0.length, start.length)
    last = x
    count++
  }
  return { last, count }
}

for (const name of names) {
  test(`${name}: ends at the image where the network always predicts one image`, async () => {
    const image = Float32Array.of(0.5, -1, 0.25, 2)
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 30 }),
        fc.constantFrom<SamplingSchedule>('trailing', 'leading', 'linspace', 'karras', 'exponential').filter(
          // The consistency function gives x itself back at timestep 0, by its definition.
          schedule => name !== 'lcm' || schedule === 'trailing',
        ),
        fc.integer(),
        async (steps, schedule, seed) => {
          const g = torchGenerator(seed)
          const noise = () => g.randn(4)
          const { last } = await result(name, () => image, noise(), { steps, schedule, noise })
          last.forEach((value, i) => {
            assert.ok(Math.abs(value - image[i]!) < 2e-2, `${value} against ${image[i]}`)
          })
        },
      ),
      { numRuns: 20 },
    )
  })

  const { alone }: Sampler = samplers[name]
  test(`${name}: an image of a batch comes out as it would alone`, { skip: alone ?? false }, async () => {
    const network = (x: Float32Array, t: number) => x.map(v => 0.6 * v + 0.1 * Math.sin(3 * v + 0.01 * t))
    const draw = (seeds: number[]) => {
      const generators = seeds.map(torchGenerator)
      return () => Float32Array.from(generators.flatMap(g => [...g.randn(3)]))
    }
    const run = async (seeds: number[]) => {
      const noise = draw(seeds)
      return (await result(name, network, noise(), { noise })).last
    }
    const together = await run([1, 2])
    assert.deepEqual(together.slice(0, 3), await run([1]))
    assert.deepEqual(together.slice(3), await run([2]))
  })
}

test('a schedule with zero terminal SNR ends in numbers, never in NaN', async () => {
  const rescaled = cumulativeAlphas32(rescaleZeroTerminalSnr(Float32Array.from(betas)))
  const network = (x: Float32Array, t: number) => x.map(v => 0.6 * v + 0.1 * Math.sin(3 * v + 0.01 * t))
  const model = { network, parameterization: 'v', alphasCumprod: rescaled } as const
  const start = torchGenerator(3).randn(4)
  for (const name of names) {
    for await (const { x } of sample(name, model, start, samplingPlan(rescaled, { steps: 6 }), {
      noise: () => start,
    })) {
      assert.ok(x.every(Number.isFinite), `${name}: ${x}`)
    }
  }
  assert.throws(() => samplingPlan(rescaled, { steps: 6, schedule: 'karras' }), /zero terminal SNR/)
})

test('steps are taken from where an image is noised to', () => {
  const plan = samplingPlan(alphasCumprod, { steps: 20, strength: 0.5 })
  assert.equal(plan.length, 10)
  assert.equal(plan[0]!.from.t, 499)
  assert.deepEqual(plan.at(-1)!.to, { alpha: 1, sigma: 0 })
  assert.throws(() => samplingPlan(alphasCumprod, { steps: 20, strength: 0.01 }), /no step/)
})
