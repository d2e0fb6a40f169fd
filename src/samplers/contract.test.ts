import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  cumulativeAlphas,
  cumulativeAlphas32,
  makeBetas,
  type Parameterization,
  rescaleZeroTerminalSnr,
  type SamplingSchedule,
  samplingPlan,
  schedules,
} from '../diffusion/index.js'
import { torchGenerator } from '../random/index.js'
import { type Sampler, type SamplerName, sample, samplers } from './index.js'

const betas = makeBetas({ beta_schedule: 'linear', timesteps: 1000, linear_start: 0.00085, linear_end: 0.012 })
const alphasCumprod = cumulativeAlphas(betas)
/** What models may be trained on; nearly nothing but noise is left at the end of the second. */
const trained = {
  linear: alphasCumprod,
  cosine: cumulativeAlphas(makeBetas({ beta_schedule: 'cosine', timesteps: 1000 })),
}
const names = Object.keys(samplers) as SamplerName[]

async function result(
  name: SamplerName,
  network: (x: Float32Array, t: number) => Float32Array,
  start: Float32Array,
  {
    steps = 8,
    schedule = 'trailing' as SamplingSchedule,
    strength = 1,
    parameterization = 'x0' as Parameterization,
    noise = () => start,
    alphas = alphasCumprod,
  } = {},
) {
  const model = { network, parameterization, alphasCumprod: alphas }
  let last = start
  let count = 0
  const plan = samplingPlan(alphas, { steps, schedule, strength })
  for await (const { x, x0 } of sample(name, model, start, plan, { noise })) {
    assert.equal(x.length, start.length)
    assert.equal(x0.length, start.length)
    last = x
    count++
  }
  return { last, count }
}

/** A plan, where a schedule has one of so many steps: the original's uniform steps run past the last timestep at times. */
function fitting(schedule: SamplingSchedule, steps: number) {
  try {
    return samplingPlan(alphasCumprod, { steps, schedule })
  } catch (error) {
    assert.ok(error instanceof RangeError && schedule === 'uniform')
    return undefined
  }
}

const wavy = (x: Float32Array, t: number) => x.map(v => 0.6 * v + 0.1 * Math.sin(3 * v + 0.01 * t))

for (const name of names) {
  test(`${name}: ends at the image where the network always predicts one image`, async () => {
    const image = Float32Array.of(0.5, -1, 0.25, 2)
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 30 }),
        fc.constantFrom<SamplingSchedule>(...(Object.keys(schedules) as SamplingSchedule[])).filter(
          // The consistency function gives x itself back at timestep 0, by its definition.
          schedule => name !== 'lcm' || schedule === 'trailing',
        ),
        fc.integer(),
        async (steps, schedule, seed) => {
          const g = torchGenerator(seed)
          const noise = () => g.randn(4)
          if (fitting(schedule, steps) === undefined) return
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
  // The steps of others depend on what they see: they paint pictures one by one anyway.
  if (!alone)
    test(`${name}: an image of a batch comes out as it would alone`, async () => {
      const draw = (seeds: number[]) => {
        const generators = seeds.map(torchGenerator)
        return () => Float32Array.from(generators.flatMap(g => [...g.randn(3)]))
      }
      const run = async (seeds: number[]) => {
        const noise = draw(seeds)
        return (await result(name, wavy, noise(), { noise })).last
      }
      const together = await run([1, 2])
      assert.deepEqual(together.slice(0, 3), await run([1]))
      assert.deepEqual(together.slice(3), await run([2]))
    })

  test(`${name}: the same seed makes the same, and every question is about a timestep that the model knows`, async () => {
    for (const schedule of Object.keys(schedules) as SamplingSchedule[]) {
      for (const steps of [1, 3, 21]) {
        if (!fitting(schedule, steps)) continue
        const run = async () => {
          const g = torchGenerator(4)
          const noise = () => g.randn(2)
          const network = (x: Float32Array, t: number) => {
            assert.ok(t >= 0 && t <= 999 && x.every(Number.isFinite), `${schedule}, ${steps} steps: asked at ${t}`)
            return wavy(x, t)
          }
          return (await result(name, network, noise(), { steps, schedule, noise })).last
        }
        assert.deepEqual(await run(), await run())
      }
    }
  })

  test(`${name}: numbers, whatever model, schedule, number of steps and start`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 60 }),
        fc.constantFrom<SamplingSchedule>(...(Object.keys(schedules) as SamplingSchedule[])),
        fc.double({ min: 0.5, max: 1, noNaN: true }),
        fc.constantFrom<Parameterization>('epsilon', 'v', 'x0'),
        fc.constantFrom<keyof typeof trained>('linear', 'cosine'),
        fc.integer(),
        async (steps, schedule, strength, parameterization, betas, seed) => {
          if (!fitting(schedule, steps)) return
          const g = torchGenerator(seed)
          const noise = () => g.randn(3)
          const options = { steps, schedule, strength, parameterization, noise, alphas: trained[betas] }
          const { last } = await result(name, wavy, noise(), options)
          assert.ok(last.every(Number.isFinite), `${last}`)
        },
      ),
      { numRuns: 8 },
    )
  })

  test(`${name}: noise changes its pictures if and only if it is called stochastic`, async () => {
    const start = torchGenerator(2).randn(3)
    const by = async (seed: number) => {
      const g = torchGenerator(seed)
      return (await result(name, wavy, start, { steps: 24, noise: () => g.randn(3) })).last
    }
    const [one, other] = [await by(1), await by(2)]
    if (samplers[name].stochastic) assert.notDeepEqual(one, other)
    else assert.deepEqual(one, other)
  })

  test(`${name}: timesteps that a plan holds several times are no harm`, async () => {
    const plan = samplingPlan(alphasCumprod, { steps: 100, schedule: 'quadratic' })
    assert.ok(new Set(plan.map(({ from }) => from.t)).size < 100)
    const g = torchGenerator(6)
    const noise = () => g.randn(2)
    const network = (x: Float32Array, t: number) => {
      assert.ok(x.every(Number.isFinite), `asked at ${t} about ${x}`)
      return wavy(x, t)
    }
    const { last } = await result(name, network, noise(), { steps: 100, schedule: 'quadratic', noise })
    assert.ok(
      last.every(value => Math.abs(value) < 2),
      `${last}`,
    )
  })

  test(`${name}: whoever stops listening stops it, and what goes wrong in the network comes out`, async () => {
    const steps = samplingPlan(alphasCumprod, { steps: 6 })
    const start = torchGenerator(4).randn(2)
    let calls = 0
    const network = async (x: Float32Array, t: number) => {
      calls++
      return wavy(x, t)
    }
    const model = { network, parameterization: 'x0', alphasCumprod } as const
    for await (const _ of sample(name, model, start, steps, { noise: () => start })) break
    const made = calls
    await new Promise(resolve => setImmediate(resolve))
    assert.ok(made > 0 && calls === made)
    const broken = { ...model, network: () => Promise.reject(new DOMException('enough', 'AbortError')) }
    await assert.rejects(sample(name, broken, start, steps, { noise: () => start }).next(), { name: 'AbortError' })
  })
}

test('a schedule with zero terminal SNR ends in numbers, never in NaN', async () => {
  const rescaled = cumulativeAlphas32(rescaleZeroTerminalSnr(Float32Array.from(betas)))
  const model = { network: wavy, parameterization: 'v', alphasCumprod: rescaled } as const
  const start = torchGenerator(3).randn(4)
  for (const schedule of ['trailing', 'leading', 'linspace', 'simple', 'normal', 'sgm_uniform', 'beta'] as const) {
    for (const name of names) {
      const plan = samplingPlan(rescaled, { steps: 6, schedule })
      for await (const { x } of sample(name, model, start, plan, { noise: () => start })) {
        assert.ok(x.every(Number.isFinite), `${name}, ${schedule}: ${x}`)
      }
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
