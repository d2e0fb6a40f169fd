import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tinyCheckpoint, tinyClipSize, tinyConfig } from '../../../testing/tiny-model.js'
import { drawing } from '../../../testing/values.js'
import { fromFloat32 } from '../../../weights/dtypes.js'
import { encodeSafetensors } from '../../../weights/safetensors.js'
import { load } from '../../loading/load.js'
import type { Model } from '../../model.js'
import { modelConfig } from '../../model-config.js'
import { settingsOf } from '../../settings/parameters.js'
import type { GenerateOptions } from '../events.js'

/** A CLIP of two layers; with `several` two of them beside one another, pooled, as Stable Diffusion XL has them. */
function clipConfig(several: boolean) {
  const tower = {
    vocab_size: tinyClipSize,
    hidden_size: several ? 8 : 16,
    intermediate_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    max_position_embeddings: 8,
  }
  const { unet_config, ...rest } = tinyConfig()
  const clip_text = several
    ? { embedders: [tower, { ...tower, pooled: true, padding: 'zero' }], zero_empty: true }
    : tower
  const told = several && { num_classes: 'sequential' as const, adm_in_channels: 8 }
  return modelConfig.parse({ ...rest, unet_config: { ...unet_config, ...told }, conditioning: { clip_text } })
}

let models: Record<'own' | 'clip' | 'several', Model>
before(async () => {
  const open = (config?: ReturnType<typeof tinyConfig>) => load(tinyCheckpoint(config), { threads: 1 })
  models = { own: await open(), clip: await open(clipConfig(false)), several: await open(clipConfig(true)) }
})
after(() => Promise.all(Object.values(models).map(model => model.dispose())))

interface Painted {
  readonly latents: Float32Array
}
interface Made extends Painted {
  /** As often as asked for. */
  readonly previews: readonly Uint8Array[]
  readonly leftOut: number
  readonly settings: object
}

async function run(prompt: string, options: GenerateOptions = {}, name: keyof typeof models = 'own'): Promise<Made> {
  const settings = { seed: 3, steps: 4, guidance: 8, promptStyle: 'a1111', ...options } as const
  const previews: Uint8Array[] = []
  let leftOut = -1
  for await (const event of models[name].generate(prompt, settings)) {
    if (event.type === 'start') leftOut = event.tokensLeftOut
    if (event.type === 'step')
      previews.push(...(event.previews ?? []).map(({ data }) => data as Uint8Array).slice(0, 1))
    if (event.type === 'image' && event.index === 0)
      return { latents: event.latents.data, previews, leftOut, settings: event.settings }
  }
  throw new Error('no picture')
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)))
const same = ({ latents: a }: Painted, { latents: b }: Painted) =>
  assert.ok(distance(a, b) < 3e-5, `differ by ${distance(a, b)}`)
const apart = ({ latents: a }: Painted, { latents: b }: Painted) =>
  assert.ok(distance(a, b) > 1e-4, `differ by ${distance(a, b)}`)

for (const name of ['own', 'clip', 'several'] as const) {
  test(`${name}: weights change a picture, each style in its way; without marks all styles are one`, async () => {
    const of = (prompt: string, promptStyle: GenerateOptions['promptStyle']) =>
      run(prompt, { promptStyle, negativePrompt: 'car' }, name)
    const plain = await of('red car', 'plain')
    const weighed = []
    for (const style of ['a1111', 'comfyui'] as const) {
      same(await of('(red:1) car', style), plain)
      weighed.push(await of('(red:1.6) car', style))
    }
    apart(weighed[0]!, plain)
    apart(weighed[0]!, weighed[1]!)
  })

  test(`${name}: texts of any length; one said twice is one`, async () => {
    const once = await run('red', { negativePrompt: 'car' }, name)
    same(await run('red BREAK red', { negativePrompt: 'car BREAK car BREAK car' }, name), once)
    const long = 'car car car red car car car car'
    const cut = await run(long, { promptStyle: 'plain' }, name)
    const whole = await run(long, {}, name)
    assert.ok(cut.leftOut > 0)
    assert.equal(whole.leftOut, 0)
    apart(cut, whole)
    apart(whole, await run(`${long} red`, {}, name))
  })
}

test('prompts joined by AND count by their weights', async () => {
  const both = await run('red AND a')
  const red = await run('red')
  apart(both, red)
  same(both, await run('a AND red'))
  same(await run('red AND a :0'), red)
  same(await run('red :0.25 AND red :0.75'), red)
  same(await run('red :2', { guidance: 1 }), await run('red', { guidance: 2 }))
  // A shorter one is prolonged by its last vector, so that it is not quite itself.
  apart(await run('red AND a BREAK a :0'), red)
})

test('a prompt changes over the steps', async () => {
  const seen = { previewEvery: 1 }
  const [red, a] = [await run('red', seen), await run('a')]
  same(await run('[red:a:1.0]'), red)
  same(await run('[red:a:0]'), a)
  same(await run('red', { negativePrompt: '[car:a:1.0]' }), await run('red', { negativePrompt: 'car' }))
  const late = await run('[red:a:0.25]', seen)
  // A1111 shows a stage for one call more than its steps.
  assert.equal(red.previews.length, 3)
  assert.deepEqual(late.previews.slice(0, 2), red.previews.slice(0, 2))
  apart(late, red)
  apart(late, a)
  const turns = await run('[red|a]')
  apart(turns, red)
  apart(turns, a)
  same(turns, await run('[red:[a:[red:a:3]:2]:1]'))
})

test('samplers of two calls a step take twice as many for the steps of a prompt', async () => {
  const heun = { sampler: 'heun', steps: 3, guidance: 60 } as const
  same(await run('[red:a:0.9]', heun), await run('red', heun))
  apart(await run('[red:a:0.2]', heun), await run('red', heun))
})

test('a second pass goes on with the prompt where the first one ended', async () => {
  const hires = { hires: 2, hiresStrength: 1, steps: 2 }
  const red = await run('red', hires)
  same(await run('[red:a:2.0]', hires), red)
  apart(await run('[red:a:1.0]', hires), red)
})

test('a picture of a batch comes out as it would alone, and says how its prompt was read', async () => {
  const prompt = '(red:1.3) [a|car] AND a BREAK b'
  const alone = await run(prompt, { seed: 9 })
  same(await run(prompt, { seed: undefined, seeds: [9, 5, 6] }), alone)
  assert.equal(settingsOf(alone.settings as never).promptStyle, 'a1111')
})

test('clip skip is of CLIP, as the style counts, and is told', async () => {
  const of = (clipSkip: number | undefined, promptStyle: 'plain' | 'a1111', name: 'clip' | 'several' = 'clip') =>
    run('red car', { promptStyle, ...(clipSkip !== undefined && { clipSkip }) }, name)
  const skipped = await of(2, 'a1111')
  same(skipped, await of(1, 'plain'))
  apart(skipped, await of(undefined, 'a1111'))
  same(await of(2, 'a1111', 'several'), await of(undefined, 'a1111', 'several'))
  assert.equal(settingsOf(skipped.settings as never).clipSkip, 2)
  await assert.rejects(of(3, 'a1111'), /clipSkip is 3; this model wants 1 to 2/)
  assert.throws(() => models.own.generate('red car', { clipSkip: 2 }), /"clipSkip" is not for this model/)
})

test('a prompt that cannot be read is refused with its place', async () => {
  await assert.rejects(run('a (cat:1.2.3)'), /at character 7, .*the weight "1\.2\.3" is no number/)
})

test('further words are said as each tool says them', async () => {
  const vectors = fromFloat32(Float32Array.from(drawing(1).normal(32).data), [2, 16])
  const file = new File(
    [encodeSafetensors(new Map([['emb_params', vectors]])) as Uint8Array<ArrayBuffer>],
    'zz.safetensors',
  )
  await using model = await load(tinyCheckpoint(), { threads: 1, words: [file] })
  const say = async (prompt: string, promptStyle: GenerateOptions['promptStyle']) => {
    for await (const event of model.generate(prompt, { seed: 3, steps: 2, guidance: 40, promptStyle }))
      if (event.type === 'image') return { latents: event.latents.data }
    throw new Error('no picture')
  }
  const plain = await say('zz a', 'plain')
  same(await say('zz a', 'a1111'), plain)
  same(await say('embedding:zz, a', 'comfyui'), await say('zz , a', 'a1111'))
  apart(await say('zz a', 'comfyui'), plain)
  await assert.rejects(say('embedding:zy', 'comfyui'), /wanted a further word of the model: did you mean "zz"/)
})
