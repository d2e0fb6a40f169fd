import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { decodeImage, describePng, encodePng, flatten, type Image, resizeImage } from '../image/index.js'
import { parseFlags } from '../schema/index.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { generate, generateCommand } from './generate.js'
import type { Io } from './io.js'
import { train, trainCommand } from './train.js'

const scenes = fileURLToPath(new URL('../../fixtures/data/scenes', import.meta.url))
const size = 16
const folder = await temporaryFolder()
const written = { out: '', err: '' }
const io: Io = {
  out: text => (written.out += text),
  err: text => (written.err += text),
  terminal: false,
  clock: () => Date.now() / 1000,
  signal: new AbortController().signal,
}

const network = (concat: number, context?: number) => `
unet_config: { in_channels: ${3 + concat}, out_channels: 3, model_channels: 32, channel_mult: [1, 1], num_res_blocks: 1, attention_resolutions: [2], num_heads: 2${context ? `, use_spatial_transformer: true, context_dim: ${context}` : ''} }
samples: { count: 2, steps: 2 }
training: { steps: 6, batch: 2, learning_rate: 3.0e-2, evaluate_every: 100, sample_every: 100 }
`
const data = `data: { folder: ${JSON.stringify(scenes)}, size: ${size} }`

async function trained(name: string, recipe: string): Promise<string> {
  const file = join(folder, `${name}.yaml`)
  await writeFile(file, `${data}\n${recipe}`)
  const out = join(folder, name)
  await train(parseFlags(trainCommand, ['diffusion', file, '-o', out, '--threads', '1']), io)
  return join(out, 'model.safetensors')
}

const ask = (model: string, ...argv: string[]) =>
  generate(
    parseFlags(generateCommand, [
      '-m',
      model,
      '--threads',
      '1',
      '--steps',
      '2',
      '--seed',
      '3',
      '--guidance',
      '100',
      ...argv,
    ]),
    io,
  )

async function picture(name: string, of: (image: Image) => Image, side = size): Promise<string> {
  const photo = flatten(await decodeImage(await readFile(join(scenes, 'images', '4.jpg'))))
  const path = join(folder, name)
  await writeFile(path, await encodePng(of(resizeImage(photo, side, side))))
  return path
}
const levels = (image: Image, of: (x: number) => number): Image => ({
  ...image,
  data: image.data.map((_, i) => of(Math.floor(i / 3) % image.width)),
})
const pixelsOf = async (path: string) => (await decodeImage(await readFile(path))).data

test('class, boxes, map and mask from the command line: each counts, and a picture tells those that fit into a line', async () => {
  const all = await trained(
    'all',
    `conditioning:
  class: { embed_dim: 32 }
  layout: { n_embed: 32, n_layer: 1, heads: 2, dim_head: 16, vocab_size: 258, max_objects: 3 }
  map: { in_channels: 4, n_stages: 0 }
  mask: {}
${network(3 + 4, 32)}`,
  )
  assert.match(written.err, /latentkit generate --class … --boxes … --map … --image … --mask … --model/)
  const map = await picture('map.png', image => levels(image, x => (x < 8 ? 1 : 3)))
  const image = await picture('image.png', image => image)
  const white = await picture('mask.png', image => levels(image, x => (x < 8 ? 255 : 0)))
  const boxes = join(folder, 'boxes.json')
  await writeFile(boxes, '[{"label": "hat", "box": [0, 0, 0.5, 0.5]}]')
  const given = { class: 'hat', boxes, map, image, mask: white }
  const flags = (changed: Partial<typeof given> = {}) =>
    Object.entries({ ...given, ...changed }).flatMap(([name, value]) => [`--${name}`, value])
  const at = (name: string) => ['-o', join(folder, `${name}-made.png`)]
  const [first] = await ask(all, ...flags(), ...at('first'))
  assert.deepEqual(first!.settings.extra, { Class: 'hat', Boxes: '[{"label":"hat","box":[0,0,0.5,0.5]}]' })
  const painted = await pixelsOf(first!.path)
  const known = await pixelsOf(image)
  const right = painted.filter((_, i) => Math.floor(i / 3) % size >= 8)
  assert.deepEqual(
    right,
    known.filter((_, i) => Math.floor(i / 3) % size >= 8),
  )
  assert.notDeepEqual(painted, known)

  const [again] = await ask(all, '--like', first!.path, '--map', map, '--image', image, '--mask', white, ...at('again'))
  assert.deepEqual(await pixelsOf(again!.path), painted)
  assert.deepEqual((await describePng(await readFile(again!.path))).parameters!.extra, first!.settings.extra)
  const others = {
    class: 'shoes',
    boxes: '[{"label": "hat", "box": [0.5, 0.5, 0.5, 0.5]}, {"label": "shoes", "box": [0, 0, 1, 1]}]',
    map: await picture('other.png', image => levels(image, () => 2)),
  }
  for (const [name, value] of Object.entries(others)) {
    const [other] = await ask(all, ...flags({ [name]: value }), ...at(name))
    assert.notDeepEqual(await pixelsOf(other!.path), painted, name)
  }

  const refused = (changed: Partial<typeof given>, message: RegExp) =>
    assert.rejects(ask(all, ...flags(changed), ...at('refused')), message)
  await refused({ class: 'boots' }, /there is no class "boots"; wanted one of 3: hat, shoes, t-shirt/)
  await refused({ boxes: '[{"label": "hat", "box": [0.8, 0, 0.5, 1]}]' }, /box 1 \(hat.*reaches outside the picture/)
  await refused({ mask: await picture('large.png', image => image, 32) }, /mask has 32x32 pixels/)
  await refused({ map: image }, /map has colours/)
  await refused({ map: join(folder, 'gone.png') }, /gone\.png/)
  await assert.rejects(ask(all, '--class', 'hat'), /wanted is "boxes"/)
  await assert.rejects(ask(all, 'a cat', ...flags()), /and no text; leave the prompt out/)
})

test('a small picture is made larger: the size follows from it', async () => {
  const model = await trained('larger', `conditioning: { low_resolution: { factor: 4 } }\n${network(3)}`)
  const small = await picture('small.png', image => image, 8)
  const [made] = await ask(model, '--image', small, '-o', join(folder, 'larger.png'))
  assert.deepEqual([made!.settings.width, made!.settings.height], [32, 32])
  await assert.rejects(ask(model), /makes a small picture 4 times larger; wanted is the picture "image"/)
  await assert.rejects(ask(model, '--image', small, '--class', 'hat'), /"class" is not for this model/)
})

test('pictures are painted after others: those of training, those of a folder, those nearest to a picture', async () => {
  const model = await trained('after', `conditioning: { neighbours: { k: 2 } }\n${network(0, 512)}`)
  const made = async (...argv: string[]) =>
    pixelsOf((await ask(model, ...argv, '-o', join(folder, 'after.png')))[0]!.path)
  const own = await made()
  const folderOf = fileURLToPath(new URL('../../fixtures/data/emoji', import.meta.url))
  assert.notDeepEqual(await made('--neighbours', folderOf), own)
  const query = await picture('query.png', image => image, 64)
  assert.deepEqual(await made('--image', query), await made('--image', query))
  await assert.rejects(ask(model, '--neighbours', query), /is no folder of pictures/)
})
