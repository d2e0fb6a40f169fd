import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  compvisStart,
  cumulativeAlphas,
  cumulativeAlphas32,
  ddimTimesteps,
  discreteSigmas,
  makeBetas,
  rescaleZeroTerminalSnr,
  type SamplingSchedule,
  slerp,
} from '../../diffusion/index.js'

import { philoxGenerator, torchGenerator } from '../../random/index.js'
import { scale } from '../model.js'
import { type SamplerName, sample } from '../table.js'
import type { NoiseSource } from './draws.js'
import { type Profile, profileNoise, profileWay, rulesOf } from './profile.js'
import { profiles } from './table.js'

/** A sampling by the tool itself, of a formula in place of a network. */
interface Trajectory {
  readonly sampler: SamplerName
  readonly schedule: SamplingSchedule
  readonly steps: number
  readonly generator: NoiseSource
  readonly seed?: number
  /** Pictures made at once with one seed. */
  readonly batch?: number
  readonly seeds?: readonly number[]
  readonly shape: readonly [number, number, number]
  readonly seedDelta?: number
  readonly variation?: { readonly seeds: readonly number[]; readonly strength: number }
  readonly eta?: number
  /** How much of a picture whose latents are 0 is painted anew. */
  readonly strength?: number
  readonly timesteps: readonly number[]
  readonly x: readonly number[]
}

interface Reference {
  readonly schedules: readonly {
    readonly schedule: SamplingSchedule
    readonly steps: number
    readonly sigmas: readonly number[]
  }[]
  readonly trajectories: readonly Trajectory[]
}

function reference<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../../fixtures/profiles/${name}.json`, import.meta.url), 'utf8')) as T
}

/** Step counts to try; CompVis' ancestral sampling takes every timestep or none. */
const stepsFor = (profile: Profile, sampler: SamplerName, usual: readonly number[]) =>
  profile === profiles.compvis && sampler === 'ddpm' ? [1000] : usual

const alphasCumprod = cumulativeAlphas(
  makeBetas({ beta_schedule: 'linear', timesteps: 1000, linear_start: 0.00085, linear_end: 0.012 }),
)

function differ(ours: ArrayLike<number>, theirs: readonly number[]): number {
  assert.equal(ours.length, theirs.length)
  return theirs.reduce((most, value, i) => Math.max(most, Math.abs(ours[i]! - value)), 0)
}

/** Samples as the tool did: what the network was told, and the result. */
async function again(profile: Profile, given: Trajectory) {
  const {
    sampler,
    schedule,
    steps,
    generator: source,
    shape,
    seedDelta,
    variation,
    eta,
    strength,
    seed = 0,
    batch = 1,
  } = given
  const way = profileWay(profile, { sampler, schedule, steps, strength, alphasCumprod })
  const pictures = given.seeds
    ? given.seeds.map(seed => ({ seed, place: 0, of: 1 }))
    : Array.from({ length: batch }, (_, place) => ({ seed, place, of: batch }))
  const asked = { sampler, pictures, shape, source, seedDelta }
  const noise = profileNoise(profile, way, asked)
  let start = noise.start()
  if (variation) {
    const others = variation.seeds.map(seed => ({ seed, place: 0, of: 1 }))
    const towards = profileNoise(profile, way, { ...asked, pictures: others }).start()
    start = slerp(start, towards, variation.strength, { length: shape[1], stride: shape[2] })
  }
  const timesteps: number[] = []
  const network = (x: Float32Array, t: number) => {
    timesteps.push(t)
    return x.map(v => 0.6 * v + 0.3 * Math.sin(1.5 * v + 0.01 * t))
  }
  const model = { network, parameterization: 'epsilon', alphasCumprod } as const
  let x = scale(start, strength === undefined ? way.startScale : way.start.sigma)
  const options = { noise: noise.next, eta, ...way.options }
  for await (const step of sample(sampler, model, x, way.steps, options)) x = step.x
  return { x, timesteps }
}

for (const name of ['compvis', 'diffusers', 'a1111', 'comfyui', 'sdcpp'] as const) {
  const profile: Profile = profiles[name]
  const { schedules, trajectories } = reference<Reference>(name)

  test(`${name}: levels are the tool's`, () => {
    for (const { schedule, steps, sigmas } of schedules) {
      const way = profileWay(profile, { sampler: 'euler', schedule, steps, alphasCumprod })
      const ours = [...way.steps.map(({ from }) => from.sigma / from.alpha), 0]
      assert.equal(ours.length, sigmas.length, `${schedule} in ${steps} steps`)
      for (const [i, sigma] of sigmas.entries()) {
        assert.ok(Math.abs(ours[i]! - sigma) <= 2e-5 * sigma, `${schedule} ${steps}: ${ours[i]} against ${sigma}`)
      }
    }
  })

  for (const given of trajectories) {
    const { sampler, schedule, steps, generator } = given
    test(`${name}: ${sampler}, ${schedule}, ${steps} steps, ${generator}: from seed to picture as the tool`, async () => {
      const { x, timesteps } = await again(profile, given)
      assert.ok(differ(timesteps, given.timesteps) < 0.02, 'the network is told other timesteps')
      assert.ok(differ(x, given.x) < 1e-4, `${sampler} ends ${differ(x, given.x)} off`)
    })
  }
}

test("sdcpp: its generators are torch's", () => {
  const given =
    reference<Record<'philox42' | 'philox42Second' | 'philoxLarge' | 'mt42' | 'mt42Second', number[]>>('sdcpp')
  const [gpu, cpu] = [philoxGenerator(42), torchGenerator(42)]
  for (const [ours, theirs] of [
    [gpu.randn(48), given.philox42],
    [gpu.randn(48), given.philox42Second],
    [philoxGenerator(2 ** 33 + 5).randn(48), given.philoxLarge],
    [cpu.randn(48), given.mt42],
    [cpu.randn(48), given.mt42Second],
  ] as const) {
    assert.ok(differ(ours.subarray(0, theirs.length), theirs) < 2e-6)
  }
})

test('every sampler and schedule of a profile makes a way, all others are refused by name', () => {
  for (const profile of Object.values<Profile>(profiles)) {
    for (const sampler of Object.keys(profile.samplers) as SamplerName[]) {
      const { schedule } = rulesOf(profile, sampler)
      for (const steps of stepsFor(profile, sampler, [10, 20])) {
        const way = profileWay(profile, { sampler, schedule, steps, alphasCumprod })
        assert.ok(Math.abs(way.steps.length - steps) <= 1, `${profile.label}, ${sampler}: ${way.steps.length} steps`)
        assert.ok(way.startScale > 0.99 && way.startScale <= 1)
        for (const { from } of way.steps) assert.ok(from.t >= 0 && from.t <= 999)
      }
    }
    assert.throws(
      () => profileWay(profile, { sampler: 'flow_heun', schedule: 'normal', steps: 10, alphasCumprod }),
      /has no sampler "flow_heun".*it has /,
    )
    const [sampler] = Object.keys(profile.samplers) as SamplerName[]
    assert.throws(
      () => profileWay(profile, { sampler: sampler!, schedule: 'toString' as never, steps: 10, alphasCumprod }),
      /has no schedule/,
    )
  }
})

test('levels too high to be told apart are passed once', async () => {
  const cosine = cumulativeAlphas(makeBetas({ beta_schedule: 'cosine', timesteps: 1000 }))
  const model = {
    network: (x: Float32Array) => x.map(v => 0.6 * v),
    parameterization: 'v',
    alphasCumprod: cosine,
  } as const
  for (const [name, profile] of Object.entries<Profile>(profiles)) {
    for (const sampler of Object.keys(profile.samplers) as SamplerName[]) {
      const { loop } = rulesOf(profile, sampler)
      if (!loop || !profile.schedules.includes('karras')) continue
      const way = profileWay(profile, { sampler, schedule: 'karras', steps: 12, alphasCumprod: cosine })
      let x: Float32Array = Float32Array.of(1, -0.5)
      for await (const step of sample(sampler, model, x, way.steps, { noise: () => x, ...way.options })) x = step.x
      assert.ok(x.every(Number.isFinite), `${name}, ${sampler}: ${x}`)
    }
  }
})

test('a model whose last timestep holds no signal is sampled by every profile', async () => {
  const betas = makeBetas({ beta_schedule: 'linear', timesteps: 1000, linear_start: 0.00085, linear_end: 0.012 })
  const rescaled = cumulativeAlphas32(rescaleZeroTerminalSnr(Float32Array.from(betas)))
  const network = (x: Float32Array, t: number) => x.map(v => 0.6 * v + 0.3 * Math.sin(v + 0.01 * t))
  const model = { network, parameterization: 'v', alphasCumprod: rescaled } as const
  for (const [name, profile] of Object.entries<Profile>(profiles)) {
    for (const sampler of Object.keys(profile.samplers) as SamplerName[]) {
      const usual = rulesOf(profile, sampler).schedule
      const schedule = usual === 'karras' || usual === 'exponential' ? 'normal' : usual
      const [steps] = stepsFor(profile, sampler, [6])
      const way = profileWay(profile, { sampler, schedule, steps: steps!, alphasCumprod: rescaled })
      const pictures = [{ seed: 3, place: 0, of: 1 }]
      const noise = profileNoise(profile, way, { sampler, pictures, shape: [1, 2, 2], source: 'cpu' })
      let x = scale(noise.start(), way.startScale)
      const options = { noise: noise.next, ...way.options }
      for await (const step of sample(sampler, model, x, way.steps, options)) x = step.x
      assert.ok(x.every(Number.isFinite), `${name}, ${sampler}: ${x}`)
    }
  }
})

test('from a picture each tool takes the last of its steps', () => {
  const rules: readonly [keyof typeof profiles, SamplerName, number, number, number, number][] = [
    // Asked for, strength, steps taken, timestep that the picture is noised to.
    ['compvis', 'ddim', 50, 0.75, 37, 741],
    ['diffusers', 'ddim', 50, 0.75, 37, 721],
    ['a1111', 'euler', 20, 0.75, 16, 788.6842],
    ['a1111', 'ddim', 20, 0.75, 14, 751],
    ['a1111', 'euler', 20, 1, 20, 999],
    ['comfyui', 'euler', 20, 0.5, 20, 486.6923],
    ['sdcpp', 'euler', 20, 0.75, 16, 788.6842],
    ['sdcpp', 'euler', 20, 1, 20, 999],
  ]
  for (const [name, sampler, steps, strength, taken, t] of rules) {
    const profile: Profile = profiles[name]
    const { schedule } = rulesOf(profile, sampler)
    const way = profileWay(profile, { sampler, schedule, steps, strength, alphasCumprod })
    assert.equal(way.steps.length, taken, `${name}, ${sampler}`)
    const sigma = way.start.sigma / way.start.alpha
    assert.ok(Math.abs(sigma / discreteSigmas(alphasCumprod).tToSigma(t) - 1) < 1e-3, `${name}, ${sampler}: ${sigma}`)
  }
  const asked = { sampler: 'ddim', schedule: 'uniform', steps: 50, alphasCumprod } as const
  const own = compvisStart(alphasCumprod, ddimTimesteps('uniform', 50, 1000), { steps: 50, strength: 0.6 })
  const { steps, start } = profileWay(profiles.compvis, { ...asked, strength: 0.6 })
  assert.deepEqual({ steps, level: start }, own)
  assert.throws(() => profileWay(profiles.compvis, { ...asked, strength: 1 }), /choose a smaller strength/)
  assert.throws(() => profileWay(profiles.compvis, { ...asked, strength: 0.01 }), /choose more steps/)
})

test('over a picture made larger as many steps are taken as the tool takes', () => {
  // setup_img2img_steps of A1111; make_hires_sigma_schedule of stable-diffusion.cpp, in single precision.
  const taken = (name: 'a1111' | 'sdcpp', asked: number, strength: number) => {
    const { larger, taken } = profiles[name].fromPicture
    const planned = larger!(asked, strength)
    return [planned.steps, taken(planned.steps, planned.strength, 'euler')]
  }
  assert.deepEqual(
    [taken('a1111', 20, 0.7), taken('a1111', 5, 1)],
    [
      [28, 20],
      [5, 5],
    ],
  )
  assert.deepEqual(
    [taken('sdcpp', 4, 0.7), taken('sdcpp', 3, 0.6), taken('sdcpp', 5, 1)],
    [
      [5, 4],
      [5, 4],
      [5, 5],
    ],
  )
})
