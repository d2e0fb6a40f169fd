import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { bytesSource } from '../platform/sources.js'
import { smallCheckpoint } from '../testing/small-originals.js'
import { toFloat32 } from '../weights/dtypes.js'
import { weightsOf } from '../weights/open-weights.js'
import { encodeSafetensors } from '../weights/safetensors.js'
import type { GenerateOptions } from './generation/events.js'
import { load } from './load.js'
import type { Model } from './model.js'

/*
 * Latents that diffusers' own pipelines paint with the same checkpoint and the guidances that it has beside the classifier's,
 * and by DeepCache's own helper: see fixtures/whole/README.md.
 */

const given = {
  ...{ profile: 'diffusers', sampler: 'ddim', negativePrompt: 'blurry, low quality' },
  ...{ width: 64, height: 48, seed: 42, steps: 5, guidance: 5 },
} as const
const pagBlocks = ['middle_block', 'input_blocks.3']
const cases: Readonly<Record<string, GenerateOptions>> = {
  pag: { pag: 60, pagBlocks },
  'pag-alone': { pag: 100, pagBlocks, guidance: 1 },
  sag: { sag: 0.75 },
  'sag-alone': { sag: 1.5, guidance: 1 },
  slg: { skipLayers: 2.5 },
  deepcache: { deepCache: 3, deepCacheOuter: 3 },
}

const fixture = await readFile(new URL('../../fixtures/whole/guided.safetensors', import.meta.url))
const wanted = await weightsOf(bytesSource(fixture, 'guided.safetensors'))
const read = async (name: string) => toFloat32(await wanted.read(name))
const plain = await read('plain')

let model: Model
before(async () => {
  model = await load(encodeSafetensors(smallCheckpoint('sd1')), { threads: 1 })
})
after(() => model.dispose())

async function latentsOf(options: GenerateOptions): Promise<Float32Array> {
  const prompt = 'a photograph of an astronaut riding a horse'
  for await (const event of model.generate(prompt, { ...given, ...options } as GenerateOptions))
    if (event.type === 'image') return event.latents.data
  throw new Error('no picture')
}

const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, value) => sum + value ** 2, 0))
const away = (x: Float32Array, from: Float32Array) => norm(x.map((value, i) => value - from[i]!))

for (const [name, options] of Object.entries(cases))
  test(`${name}: as by diffusers`, async () => {
    const theirs = await read(name)
    const far = away(await latentsOf(options), theirs)
    assert.ok(far < 1e-5 * norm(theirs), `${far / norm(theirs)} of the latents`)
    // Of what the guidance itself does.
    assert.ok(far < 1e-2 * away(theirs, plain), `${far / away(theirs, plain)} of its effect`)
  })
