import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type SamplingSchedule, schedules } from '../../diffusion/index.js'
import { formatParameters, parseParameters } from '../../image/index.js'
import { version } from '../../platform/version.js'
import { type SamplerName, samplers } from '../../samplers/index.js'
import { tinyConfig } from '../../testing/tiny-model.js'
import { parametersOf, settingsOf } from './parameters.js'
import { planGeneration } from './plan.js'

test('settings survive the way into a picture and back', () => {
  const settings = fc.record({
    negativePrompt: fc.constantFrom('', 'blue, "car"', 'two\nlines'),
    seed: fc.integer({ min: 0, max: 0xffffffff }),
    steps: fc.integer({ min: 1, max: 1000 }),
    guidance: fc.constantFrom(0, 1, 2.5, 7),
    sampler: fc.constantFrom(...(Object.keys(samplers) as SamplerName[])),
    schedule: fc.constantFrom(...(Object.keys(schedules) as SamplingSchedule[])),
    eta: fc.constantFrom(0, 0.25, 1),
    width: fc.constantFrom(16, 32),
    height: fc.constantFrom(16, 24),
  })
  fc.assert(
    fc.property(settings, given => {
      const plan = planGeneration({ config: tinyConfig(), conditions: { guides: true } }, 'red heart', given as never)
      const { negativePrompt, ...rest } = given
      const expected = negativePrompt === '' ? { ...rest } : { ...given }
      const text = formatParameters(parametersOf(plan, 0, { model: 'tiny' }))
      assert.deepEqual(settingsOf(parseParameters(text)), expected)
    }),
  )
})

test('second prompts, variations and larger pictures survive it too', () => {
  const settings = fc.record(
    {
      toPrompt: fc.constantFrom('blue heart', 'a, "b": c'),
      toShare: fc.constantFrom(0, 0.25, 1),
      variation: fc.record({ variationSeed: fc.nat(), variationStrength: fc.constantFrom(0.1, 1) }),
      hires: fc.record({
        hires: fc.constantFrom(1.5, 2),
        hiresBy: fc.constantFrom('pixels', 'latents'),
        hiresStrength: fc.constantFrom(0.3, 1),
        hiresSteps: fc.constantFrom(5, 20),
      }),
    },
    { requiredKeys: ['toShare'] },
  )
  fc.assert(
    fc.property(settings, ({ variation, hires, toPrompt, toShare }) => {
      const given = { ...variation, ...hires, ...(toPrompt !== undefined && { toPrompt, toShare }) }
      const plan = planGeneration({ config: tinyConfig(), conditions: { guides: true } }, 'red heart', given as never)
      const found = settingsOf(parseParameters(formatParameters(parametersOf(plan, 0, { model: 'tiny' }))))
      assert.deepEqual(Object.fromEntries(Object.keys(given).map(name => [name, found[name as 'seed']])), given)
      for (const name of ['variationStrength', 'hires', 'toPrompt', 'strength'] as const)
        if (!(name in given)) assert.equal(found[name], undefined)
    }),
  )
})

test('an unknown sampler is named with the known ones, an unknown schedule left out', () => {
  assert.throws(() => settingsOf({ prompt: '', sampler: 'Karo' }), /sampler "Karo"; known are DDIM, /)
  assert.deepEqual(settingsOf({ prompt: '', scheduleType: 'Automatic', steps: 3 }), { steps: 3 })
  assert.deepEqual(settingsOf({ prompt: '', scheduleType: 'Karras' }), { schedule: 'karras' })
})

test("samplers and schedules are known by A1111's names too", () => {
  const of = (sampler: string, scheduleType?: string) =>
    settingsOf({ prompt: '', sampler, ...(scheduleType !== undefined && { scheduleType }) })
  assert.deepEqual(of('Euler a', 'SGM Uniform'), { sampler: 'euler_ancestral', schedule: 'sgm_uniform' })
  assert.deepEqual(of('DPM++ 2S a Karras'), { sampler: 'dpmpp_2s_ancestral', schedule: 'karras' })
  assert.deepEqual(of('DPM++ 2M', 'DDIM'), { sampler: 'dpmpp_2m', schedule: 'ddim_uniform' })
  assert.deepEqual(of('DPM++ 2M', 'Align Your Steps'), { sampler: 'dpmpp_2m', schedule: 'ays' })
})

test('pictures of other tools are made again as those make them', () => {
  const of = (made: string) =>
    settingsOf(parseParameters(`(red:1.2) heart\nSteps: 20, Seed: 7, Clip skip: 2, Version: ${made}`))
  assert.deepEqual(of('v1.10.1'), { profile: 'a1111', steps: 20, seed: 7, clipSkip: 2 })
  assert.equal(of('f2.0.1v1.10.1-previous').profile, 'a1111')
  assert.equal(of('1.10.1').profile, 'a1111')
  assert.equal(of('stable-diffusion.cpp').profile, 'sdcpp')
  assert.equal(of(`latentkit ${version}`).profile, undefined)
})

test('every setting that a picture tells is read again as it was', () => {
  const given = {
    guidanceFrom: 9,
    guidanceTo: 0.5,
    guidanceRescale: 0.7,
    mimicScale: 3,
    mimicPercentile: 1,
    threshold: 0.9,
    thresholdMost: 2,
    pag: 2,
    pagBlocks: ['middle_block', 'input_blocks.1'],
    sag: 0.75,
    sagBlur: 1,
    skipLayers: 1,
    skippedBlocks: ['middle_block'],
    freeu: '2',
    freeuB1: 1.5,
    freeuB2: 1.6,
    freeuS1: 0.9,
    freeuS2: 0.2,
    tokenMerging: 0.5,
    deepCache: 2,
    deepCacheOuter: 1,
    controlFrom: [0, 0.25],
    controlTo: [0.5],
    controlMode: ['prompt', 'balanced'],
    noiseSource: 'gpu',
    profile: 'a1111',
    seedDelta: 31337,
    batchSize: 4,
    batchPlace: 1,
    rho: 5,
    sigmaMin: 0.1,
    sigmaMax: 10,
    seamless: 'xy',
    window: 16,
    windowOverlap: 0.5,
    tile: 8,
  } as const
  const of = (settings: object) => {
    const plan = planGeneration({ config: tinyConfig(), conditions: { guides: true } }, 'red heart', settings as never)
    return settingsOf(parseParameters(formatParameters(parametersOf(plan, 0, { model: 'tiny' }))))
  }
  const found = of(given)
  assert.deepEqual(Object.fromEntries(Object.keys(given).map(name => [name, found[name as 'seed']])), given)
  const plain = Object.keys(of({ seed: 1 })).filter(name => name in given)
  assert.deepEqual(plain, [], 'what is as always is not told')
})
