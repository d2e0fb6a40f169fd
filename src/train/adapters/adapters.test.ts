import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { encodePng } from '../../image/index.js'
import { load } from '../../pipelines/loading/load.js'
import { parseConfig } from '../../schema/index.js'
import { testDevice } from '../../testing/device.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { tinyCheckpoint } from '../../testing/tiny-model.js'
import { all, losses } from '../../testing/train-events.js'
import { openAdapter } from '../../weights/adapters/index.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import { toFloat32 } from '../../weights/dtypes.js'
import { readWords } from '../../weights/word-file.js'
import type { TrainEvent } from '../events.js'
import { checkpointAt } from '../learner.js'
import {
  controlNetRecipe,
  dreamboothRecipe,
  loraRecipe,
  textualInversionRecipe,
  trainControlNet,
  trainDreambooth,
  trainLora,
  trainTextualInversion,
} from './index.js'
import type { SharedRecipe } from './recipes.js'

const emoji = fileURLToPath(new URL('../../../fixtures/data/emoji/images', import.meta.url))
let pictures: string
const shared = (steps: number, more: object = {}) => ({
  data: { folder: pictures, size: 16 },
  condition_dropout: 0,
  samples: { prompts: ['red heart'], steps: 1 },
  training: {
    steps,
    batch: 2,
    learning_rate: 1e-2,
    evaluate_every: steps,
    sample_every: steps,
    checkpoint_every: steps,
    ...more,
  },
})

const folder = await temporaryFolder()
const device = await testDevice()
let base: Checkpoint
let model: Uint8Array
before(async () => {
  pictures = join(folder, 'pictures')
  await mkdir(pictures)
  const files = (await readdir(emoji, { recursive: true })).filter(name => name.endsWith('.png')).sort()
  for (const [i, name] of files.slice(0, 4).entries()) {
    await copyFile(join(emoji, name), join(pictures, `${i}.png`))
    await writeFile(join(pictures, `${i}.txt`), 'red heart')
  }
  model = tinyCheckpoint()
  base = await checkpointAt(model)
})
after(() => base.close())

/** Mean over the held-out noise, the same before and after. */
const evaluated = (events: readonly TrainEvent[]) =>
  events.flatMap(event => (event.type === 'evaluation' ? [event.metrics.loss!] : []))
const options = (path: string) => ({ device, base, path: join(folder, path), latentFolder: join(folder, 'latents') })

async function painted(load: Promise<Awaited<ReturnType<typeof loadTiny>>>, prompt = 'red heart', more: object = {}) {
  await using tiny = await load
  const picture = await tiny.generate(prompt, { seed: 1, steps: 2, guidance: 1, ...more }).image()
  return [...picture.data]
}
const loadTiny = (adaptation: Parameters<typeof load>[1] = {}) => load(model, { threads: 1, ...adaptation })

/** The first loss of a batch of pictures by the model as it is: the same in all runs below. */
let original: number

test('a LoRA learns beside a model that stays as it is, and is the same picture from each of its files', async () => {
  const lora = { rank: 4, alpha: 2, target: '.', text_encoder: true }
  const recipe = loraRecipe.parse({ ...shared(12, { evaluate_every: 4 }), lora })
  const path = join(folder, 'lora.safetensors')
  const run = await all(trainLora({ ...options('lora.safetensors'), recipe }))
  original = losses(run)[0]!
  const found = evaluated(run)
  assert.ok(found.at(-1)! < found[0]!, `the loss fell: ${found}`)
  const checkpoint = await checkpointAt(path)
  assert.ok([...checkpoint.weights.keys()].every(name => /\.(lora_(up|down)\.weight|alpha)$/.test(name)))
  await checkpoint.close()

  const plain = await painted(loadTiny())
  const painting = (file: string, weight = 1) => painted(loadTiny({ loras: [{ file, weight }] }))
  const kohya = await painting(path.replace('.safe', '.kohya.safe'))
  assert.notDeepEqual(kohya, plain)
  assert.deepEqual(await painting(path.replace('.safe', '.diffusers.safe')), kohya)
  assert.deepEqual(await painting(path), kohya)
  assert.deepEqual(await painting(path, 0), plain)
})

test('a DoRA starts as the model is and is written with its magnitudes', async () => {
  const recipe = loraRecipe.parse({ ...shared(1), lora: { rank: 2, decompose: true, target: 'to_[qv]$' } })
  const run = await all(trainLora({ ...options('dora.safetensors'), recipe }))
  assert.ok(Math.abs(losses(run)[0]! - original) < 1e-5)
  const adapter = await openAdapter(join(folder, 'dora.diffusers.safetensors'))
  const parts = [...adapter.modules.values()].map(parts => [...parts.keys()].sort().join())
  assert.ok(parts.every(names => names === 'down,magnitude,up'))
  await adapter.close()
  const nothing = loraRecipe.parse({ ...shared(1), lora: { target: 'nothing' } })
  const none = () => all(trainLora({ ...options('x.safetensors'), recipe: nothing }))
  await assert.rejects(none, /no layer matches nothing; one of its layers is/)
})

test('textual inversion learns a word alone, which prompts then know', async () => {
  const recipe = textualInversionRecipe.parse({
    ...shared(12, { evaluate_every: 4, learning_rate: 0.1 }),
    word: '<thing>',
    vectors: 2,
    initial: 'red heart',
    captions: ['one {}', '{}'],
  })
  const run = await all(trainTextualInversion({ ...options('word.safetensors'), recipe }))
  const found = evaluated(run)
  assert.ok(found.at(-1)! < found[0]!, `${found}`)
  const start = run.find(event => event.type === 'start')
  assert.equal(start!.type === 'start' && start!.parameters, 2 * 16, 'nothing but the vectors is trained')
  const [inSafetensors, inTorch] = await Promise.all(
    ['thing.safetensors', 'thing.pt'].map(file => readWords(join(folder, file))),
  )
  assert.deepEqual(inSafetensors![0]!.vectors, inTorch![0]!.vectors)
  assert.deepEqual([inSafetensors![0]!.word, inTorch![0]!.word], ['<thing>', 'thing'])

  const words = [join(folder, 'thing.safetensors')]
  const known = await painted(loadTiny({ words }), 'one <thing>')
  assert.notDeepEqual(known, await painted(loadTiny(), 'one <thing>'))
  assert.deepEqual(known, await painted(loadTiny({ words: [join(folder, 'thing.pt')] }), 'one thing'))
})

test('DreamBooth trains the whole UNet with pictures of the class that the model paints, and resumes exactly', async () => {
  const prior = { prompt: 'heart', folder: join(folder, 'class'), count: 3, steps: 1, guidance: 1 }
  const recipe = (steps: number) =>
    dreamboothRecipe.parse({ ...shared(steps, { learning_rate: 1e-3 }), captions: ['red heart'], prior })
  const whole = await all(trainDreambooth({ ...options('dreambooth.safetensors'), recipe: recipe(3) }))
  assert.equal((await readdir(prior.folder)).length, 3)
  assert.ok(losses(whole)[0]! > original, 'the class is counted beside the subject')
  const parts = options('dreambooth-parts.safetensors')
  const before = await all(trainDreambooth({ ...parts, recipe: recipe(2) }))
  const resume = await checkpointAt(parts.path)
  const rest = await all(trainDreambooth({ ...parts, recipe: recipe(3), resume }))
  await resume.close()
  assert.deepEqual([...losses(before), ...losses(rest)], losses(whole))

  const trained = await checkpointAt(join(folder, 'dreambooth.safetensors'))
  assert.deepEqual([...trained.weights.keys()].sort(), [...base.weights.keys()].sort(), 'it is a whole model')
  for (const [name, same] of [
    ['model.diffusion_model.out.2.weight', false],
    ['first_stage_model.quant_conv.weight', true],
  ] as const) {
    const [before, after] = [toFloat32(await base.read(name)), toFloat32(await trained.read(name))]
    assert.equal(
      after.every((v, i) => v === before[i]),
      same,
      name,
    )
  }
  await trained.close()
})

test('a ControlNet starts as the model is, learns to follow hints, and several count together', async () => {
  const recipe = controlNetRecipe.parse(shared(12, { evaluate_every: 4 }))
  const run = await all(trainControlNet({ ...options('control.safetensors'), recipe }))
  assert.equal(losses(run)[0], original, 'the first loss is that of the base alone, to the bit')
  const found = evaluated(run)
  assert.ok(found.at(-1)! < found[0]!, `${found}`)

  const file = join(folder, 'control.safetensors')
  const side = { width: 16, height: 16, channels: 3 } as const
  const hint = { ...side, data: Uint8Array.from({ length: 768 }, (_, i) => (i % 48 < 24 ? 255 : 0)) }
  const plain = await painted(loadTiny())
  const steered = await painted(loadTiny({ controls: [{ file }] }), 'red heart', { hint })
  assert.notDeepEqual(steered, plain)
  assert.deepEqual(await painted(loadTiny({ controls: [{ file, weight: 0 }] }), 'red heart', { hint }), plain)
  const diffusers = join(folder, 'control.diffusers', 'diffusion_pytorch_model.safetensors')
  const halves = [file, diffusers].map(file => ({ file, weight: 0.5 }))
  const twice = await painted(loadTiny({ controls: halves }), 'red heart', { hint: [hint, hint] })
  assert.ok(
    twice.every((v, i) => Math.abs(v - steered[i]!) <= 1),
    'two halves are one, whichever names they have',
  )
  const late = { hint: [hint, hint], controlFrom: [0, 0.99] }
  const half = await painted(loadTiny({ controls: halves.slice(0, 1) }), 'red heart', { hint })
  const alone = await painted(loadTiny({ controls: halves }), 'red heart', late)
  assert.deepEqual(alone, half, 'each acts within its own share of the way')
  await assert.rejects(painted(loadTiny({ controls: [{ file }] })), /1 ControlNets and 0 pictures in "hint"/)

  const hints = join(folder, 'hints')
  await mkdir(hints)
  const black = { ...side, data: new Uint8Array(768) }
  for (let i = 0; i < 4; i++) await writeFile(join(hints, `${i}.png`), await encodePng(black))
  const dark = (hints: string, steps = 3) =>
    all(
      trainControlNet({
        ...options(`dark-${steps}.safetensors`),
        recipe: controlNetRecipe.parse({ ...shared(steps), hints }),
      }),
    )
  const [first, , third] = losses(await dark(hints))
  assert.equal(first, original)
  assert.notEqual(third, losses(run)[2], 'after two steps hints are listened to')
  await rm(join(hints, '0.png'))
  await assert.rejects(() => dark(hints, 4), /has no hint for 0\.png/)
})

test('the tiny recipes of configs are such recipes', async () => {
  const recipes = {
    lora: loraRecipe,
    'textual-inversion': textualInversionRecipe,
    dreambooth: dreamboothRecipe,
    controlnet: controlNetRecipe,
  }
  for (const [name, schema] of Object.entries(recipes)) {
    const file = fileURLToPath(new URL(`../../../configs/tiny/${name}.yaml`, import.meta.url))
    const { training } = parseConfig(await readFile(file, 'utf8'), schema, file) as SharedRecipe
    assert.ok(training.steps * training.batch <= 16, name)
  }
})
