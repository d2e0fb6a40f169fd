import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { describePng } from '../../image/index.js'
import { FileError, LatentkitError } from '../../platform/errors.js'
import { version } from '../../platform/version.js'
import { SchemaError } from '../../schema/index.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { tinyCheckpoint, tinyConfig } from '../../testing/tiny-model.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import { load } from '../loading/load.js'
import type { Model } from '../model.js'
import type { GenerateEvent, GenerateOptions } from './events.js'
import type { GeneratedImage } from './generated-image.js'

const folder = await temporaryFolder()
let model: Model
before(async () => {
  await writeFile(join(folder, 'tiny.safetensors'), tinyCheckpoint())
  model = await load(join(folder, 'tiny.safetensors'), { threads: 1 })
})
after(() => model.dispose())

async function run(prompt: string, options: GenerateOptions, from = model) {
  const events: GenerateEvent[] = []
  for await (const event of from.generate(prompt, options)) events.push(event)
  const images = events.flatMap(event => (event.type === 'image' ? [event.image] : []))
  return { events, images }
}

/** Largest difference of two pictures, in levels of 255. */
const difference = (a: GeneratedImage, b: GeneratedImage) =>
  Math.max(...Array.from(a.data, (value, i) => Math.abs(value - b.data[i]!)))

test('a generation tells its steps and gives pictures with their seeds and settings', async () => {
  const { events, images } = await run('red heart', { seed: Number.MAX_SAFE_INTEGER, count: 3, batch: 2, steps: 4 })
  assert.deepEqual(events[0], { type: 'start', total: 8, seeds: [Number.MAX_SAFE_INTEGER, 0, 1], tokensLeftOut: 0 })
  assert.deepEqual(
    events.flatMap(event => (event.type === 'step' ? [event.step] : [])),
    [1, 2, 3, 4, 5, 6, 7, 8],
  )
  assert.deepEqual(
    events.flatMap(event => (event.type === 'image' ? [[event.index, event.seed]] : [])),
    [
      [0, Number.MAX_SAFE_INTEGER],
      [1, 0],
      [2, 1],
    ],
  )
  assert.deepEqual(images[1]!.parameters, {
    prompt: 'red heart',
    negativePrompt: '',
    steps: 4,
    sampler: 'DDIM',
    scheduleType: 'trailing',
    cfgScale: 3,
    seed: 0,
    width: 16,
    height: 16,
    model: 'tiny',
    version: `latentkit ${version}`,
  })
  assert.ok(new Set(images[0]!.data).size > 8, 'the picture is not of one colour')
})

for (const sampler of ['ddim', 'ddpm', 'euler_ancestral', 'dpmpp_2m_sde'] as const) {
  test(`${sampler}: a picture of a batch comes out as it would alone`, async () => {
    const settings = { steps: 5, sampler, ...(sampler === 'ddim' && { eta: 1 }) }
    const together = await run('red car', { ...settings, seeds: [5, 9, 5, 12] })
    const alone = await run('red car', { ...settings, seed: 9 })
    assert.ok(difference(together.images[1]!, alone.images[0]!) <= 1)
    assert.ok(difference(together.images[0]!, together.images[2]!) <= 1)
    assert.ok(difference(together.images[0]!, together.images[3]!) > 8)
  })
}

test('prompt, negative prompt and guidance all change the picture; without guidance the negative prompt does not', async () => {
  const base = { seed: 3, steps: 4 }
  const [first] = (await run('red heart', base)).images
  const others = [
    await run('blue heart', base),
    await run('red heart', { ...base, negativePrompt: 'car' }),
    await run('red heart', { ...base, guidance: 7 }),
  ]
  for (const { images } of others) assert.ok(difference(images[0]!, first!) > 0)
  const plain = { ...base, guidance: 1 }
  const [unguided] = (await run('red heart', plain)).images
  const [negative] = (await run('red heart', { ...plain, negativePrompt: 'car' })).images
  assert.equal(difference(unguided!, negative!), 0)
})

test('guidance 0 is the empty prompt', async () => {
  const [zero] = (await run('red heart', { seed: 3, steps: 4, guidance: 0 })).images
  const [empty] = (await run('', { seed: 3, steps: 4, guidance: 1 })).images
  assert.ok(difference(zero!, empty!) <= 1)
})

test('a picture is saved as a PNG that says what made it', async () => {
  const path = join(folder, 'new', 'heart.png')
  const image = await model.generate('red "heart", big', { seed: 7, steps: 2, eta: 0.5 }).image()
  await image.save(path)
  const { width, height, parameters } = await describePng(await readFile(path))
  assert.deepEqual([width, height], [16, 16])
  assert.equal(parameters!.prompt, 'red "heart", big')
  assert.equal(parameters!.seed, 7)
  assert.deepEqual(parameters!.extra, { 'Eta DDIM': '0.5' })
})

test('sizes other than in training are made while another size is in use', async () => {
  const small = model.generate('red heart', { seed: 1, steps: 3 })
  await small.next()
  const { images } = await run('red heart', { seed: 1, steps: 2, width: 32, height: 24 })
  assert.deepEqual([images[0]!.width, images[0]!.height], [32, 24])
  const image = await small.image()
  assert.equal(image.width, 16)
  const [again] = (await run('red heart', { seed: 1, steps: 3 })).images
  assert.ok(difference(image, again!) <= 1)
})

test('previews come as often as asked for', async () => {
  const { events } = await run('red heart', { seeds: [1, 2], steps: 5, previewEvery: 2 })
  const previews = events.flatMap(event => (event.type === 'step' ? [event.previews?.length ?? 0] : []))
  assert.deepEqual(previews, [0, 2, 0, 2, 0])
})

test('a signal ends a generation with its reason, and the model goes on working', async () => {
  const abort = new AbortController()
  const reason = new Error('enough')
  const generation = model.generate('red heart', { steps: 50, signal: abort.signal })
  await assert.rejects(async () => {
    for await (const event of generation) if (event.type === 'step' && event.step === 2) abort.abort(reason)
  }, reason)
  await model.generate('red heart', { steps: 1 }).image()
})

test('a model without text takes none, and generates', async () => {
  await using plain = await load(tinyCheckpoint(tinyConfig({ text: false })), { threads: 1 })
  const image = await plain.generate('', { seed: 1, steps: 2 }).image()
  assert.equal(image.width, 16)
  assert.throws(() => plain.generate('red heart'), /trained without captions and takes no text; leave the prompt out/)
})

test('words that do not fit are told of', async () => {
  const { events } = await run('red heart red heart red heart red heart', { steps: 1 })
  assert.ok((events[0] as { tokensLeftOut: number }).tokensLeftOut > 0)
})

test('settings that make no sense are refused before anything runs', () => {
  const refused = (options: object, message: RegExp) => {
    assert.throws(() => model.generate('red heart', options as GenerateOptions), message)
  }
  refused({ stpes: 4 }, /stpes: unknown key; did you mean "steps"/)
  refused({ steps: 0 }, /steps: /)
  refused({ sampler: 'ddmi' }, /sampler: .*did you mean "ddim"/)
  refused({ seed: -1 }, /seed: /)
  refused({ seed: 1, seeds: [1] }, /seeds: .*leave out seed and count/)
  refused({ width: 50 }, /the width is 50 pixels; this model wants a multiple of 4, such as 52/)
})

test('more steps than the model has times are refused', async () => {
  await assert.rejects(model.generate('red heart', { steps: 1001 }).image(), /1001 steps: /)
})

test('files that hold no such model are refused with what was found and wanted', async () => {
  const good = tinyCheckpoint()
  const refused = async (bytes: Uint8Array, message: RegExp, kind = FileError) => {
    const path = join(folder, 'bad.safetensors')
    await writeFile(path, bytes)
    await assert.rejects(load(path, { threads: 1 }), error => {
      assert.ok(error instanceof kind, String(error))
      assert.ok(error.message.includes('bad.safetensors'), error.message)
      assert.match(error.message, message)
      return true
    })
  }
  await assert.rejects(load(join(folder, 'none.safetensors')), /none\.safetensors: .*there is no such file/)
  await refused(good.subarray(0, good.length - 100), /cut or damaged/)
  await refused(good.subarray(0, 100), /bad\.safetensors/)
  await refused(
    new TextEncoder().encode('<html><body>Not found</body></html>'),
    /is no safetensors file: it is a web page/,
  )
  const foreign = { dtype: 'F32', shape: [1], bytes: new Uint8Array(4) } as const
  await refused(encodeSafetensors(new Map([['unet.conv_in.weight', foreign]])), /no checkpoint .*unet\.conv_in\.weight/)
  const config = tinyConfig()
  const rewritten = (change: object) => {
    const text = new TextDecoder('latin1').decode(good)
    const from = JSON.stringify(JSON.stringify(config))
    assert.ok(text.includes(from))
    const to = JSON.stringify(JSON.stringify({ ...config, ...change }))
    const length = new DataView(good.buffer, good.byteOffset).getBigUint64(0, true)
    const header = text.slice(8, 8 + Number(length)).replace(from, () => to)
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8)
    const out = new Uint8Array(8 + padded.length + good.length - 8 - Number(length))
    new DataView(out.buffer).setBigUint64(0, BigInt(padded.length), true)
    out.set(
      Uint8Array.from(padded, c => c.charCodeAt(0)),
      8,
    )
    out.set(good.subarray(8 + Number(length)), 8 + padded.length)
    return out
  }
  const unet = config.unet_config!
  await refused(
    rewritten({ unet_config: { ...unet, model_channels: 64 } }),
    /has shape .*wanted .*another architecture/,
  )
  await refused(rewritten({ unet_config: { ...unet, num_res_blocks: 1e9 } }), /1000000000 layers in a row.*tensors/)
  await refused(rewritten({ unet_config: undefined }), /first stage alone/)
  await refused(rewritten({ unet_config: { ...unet, colour: 1 } }), /colour: unknown key/, SchemaError as never)
  const text = config.conditioning!.text!
  await refused(rewritten({ conditioning: { text: { ...text, vocab_size: 300 } } }), /vocabulary of 26\d tokens .* 300/)
})

test('weights that give no numbers make an error, never a picture', async () => {
  const bytes = tinyCheckpoint()
  bytes.fill(0x7f, bytes.length - 50_000)
  await using broken = await load(bytes, { threads: 1 })
  await assert.rejects(broken.generate('red heart', { steps: 2 }).image(), error => {
    assert.ok(error instanceof LatentkitError)
    assert.match(error.message, /numbers that are none/)
    return true
  })
})

test('a model that is disposed while it works says so, and the process lives on', async () => {
  for (const wait of [0, 20, 100, 300]) {
    const gone = await load(tinyCheckpoint(), { threads: 1 })
    const picture = gone.generate('red heart', { steps: 500 }).image()
    await new Promise(resolve => setTimeout(resolve, wait))
    await Promise.all([gone.dispose(), assert.rejects(picture, /disposed/)])
  }
})

test('a disposed model says so', async () => {
  const gone = await load(tinyCheckpoint(), { threads: 1 })
  await gone.dispose()
  await assert.rejects(gone.generate('red heart', { steps: 1 }).image(), /disposed/)
})
