// Bundles the emoji model of a training run: node tools/bundle-model.js RUN [PICTURES] (RUN: a folder with
// model.safetensors and, where they are, autoencoder.safetensors and both stages' metrics.jsonl; PICTURES: the folder it
// was trained on, whose held-out pictures the card's figures are measured with, some ten minutes on two cores)
// Writes models/emoji.safetensors (float16), models/emoji.png (samples as they come) and models/emoji.md (the card).
import { existsSync, readFileSync } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { evaluate, evaluateCommand } from '../dist/cli/evaluate.js'
import { gridOfImages } from '../dist/image/index.js'
import { encodePng, load, openCheckpoint } from '../dist/index.js'
import { bundle } from '../dist/pipelines/export/bundle.js'
import { parseFlags } from '../dist/schema/index.js'
import { writeCheckpoint } from '../dist/weights/checkpoint.js'

const licences =
  'The weights: MIT. They were learned from emoji drawings of Noto Emoji (Google, Apache-2.0), Blobmoji (Apache-2.0), ' +
  'Twemoji (Twitter, Inc. and contributors, CC-BY-4.0), Fluent Emoji (Microsoft, MIT), EmojiTwo (CC-BY-4.0) and ' +
  'FxEmojis (Mozilla, CC-BY-4.0), captioned with names of emojibase (MIT) and keywords of Unicode CLDR (Unicode-3.0).'

const [run, pictures] = process.argv.slice(2)
if (run === undefined) throw new Error('Name the folder of the training run: node tools/bundle-model.js RUN [PICTURES]')
const target = 'models/emoji.safetensors'
const seeds = [0, 1, 2, 3]
const settings = { steps: 20, guidance: 3 }

const checkpoint = await openCheckpoint(join(run, 'model.safetensors'))
await writeCheckpoint(target, bundle(checkpoint, licences))
const { info, weights } = checkpoint
await checkpoint.close()

const { prompts } = info.recipe.samples
const columns = await samples(prompts)
const rows = seeds.flatMap((_, i) => columns.map(images => images[i]))
await writeFile('models/emoji.png', await encodePng(gridOfImages(rows, { columns: prompts.length })))
await writeFile('models/emoji.md', await card())

async function samples(prompts) {
  const model = await load(target)
  const columns = []
  for (const prompt of prompts) {
    const images = []
    for await (const event of model.generate(prompt, { ...settings, seeds })) {
      if (event.type === 'image') images.push(event.image)
    }
    columns.push(images)
  }
  await model.dispose()
  return columns
}

/** Parameters of a part of the model, in millions. */
function millions(part) {
  let count = 0
  for (const [name, { shape }] of weights) if (name.startsWith(part)) count += shape.reduce((a, b) => a * b, 1)
  return `${(count / 1e6).toFixed(1)}M`
}

/** The last measurement on held-out pictures up to a step, of the stage's metrics. */
function heldOut(stage, step) {
  const files = [join(run, stage, 'metrics.jsonl'), join(run, 'metrics.jsonl')].filter(existsSync)
  if (files.length === 0) return 'not measured'
  const lines = readFileSync(files[0], 'utf8').trim().split('\n')
  const last = lines
    .map(line => JSON.parse(line))
    .filter(event => event.type === 'evaluation' && event.step <= step)
    .at(-1)
  if (last === undefined) return 'not measured'
  const { type: _, step: at, ...metrics } = last
  const numbers = Object.entries(metrics).map(([name, value]) => `${name.replaceAll('_', ' ')} ${value.toPrecision(3)}`)
  return `${numbers.join(', ')} (after step ${count(at)})`
}

function count(number) {
  return number.toLocaleString('en-US')
}

async function stageOf(name, file) {
  if (!existsSync(join(run, file))) return `as its checkpoint was given`
  const stage = await openCheckpoint(join(run, file))
  await stage.close()
  const { batch, accumulate } = stage.info.recipe.training
  const { step } = stage.training.values
  const samples = step * batch * accumulate
  return `${count(step)} steps of ${batch * accumulate}: ${count(samples)} samples. Held out: ${heldOut(name, step)}`
}

/** Figures of `latentkit evaluate` for held-out pictures, as a line of the card; undefined without the pictures. */
async function figures(...flags) {
  if (pictures === undefined) return undefined
  const line = [target, pictures, '--share', 'held-out', '--json', ...flags]
  const { out, err } = { out: () => {}, err: text => process.stderr.write(text) }
  const io = {
    out,
    err,
    terminal: process.stderr.isTTY,
    clock: () => Date.now() / 1000,
    signal: new AbortController().signal,
  }
  const { figures } = await evaluate(parseFlags(evaluateCommand, line), io)
  const numbers = figures.map(({ name, value }) => `${name} ${Number(value.toPrecision(4))}`)
  return `${numbers.join(', ')}; ${figures[0].pictures} pictures against ${figures[0].reference} held-out ones`
}

async function card() {
  const { first_stage_config, unet_config } = info.config
  const size = unet_config.image_size * 2 ** (first_stage_config.ddconfig.ch_mult.length - 1)
  const bytes = (await stat(target)).size
  const facts = [
    ['pictures', `${size}x${size} pixels, RGB`],
    ['latents', `${first_stage_config.embed_dim}x${unet_config.image_size}x${unet_config.image_size}`],
    ['first stage', `KL autoencoder, ${millions('first_stage_model')} parameters`],
    [
      'diffusion model',
      `UNet, ${millions('model.diffusion_model')} parameters, predicts ${info.config.diffusion.parameterization}`,
    ],
    ['text encoder', `transformer, ${millions('cond_stage_model')} parameters, trained along`],
    ['file', `float16, ${(bytes / 1e6).toFixed(1)} MB`],
    ['first stage trained for', await stageOf('autoencoder', 'autoencoder.safetensors')],
    ['diffusion model trained for', await stageOf('diffusion', 'model.safetensors')],
    ['first stage, measured', await figures('--first-stage')],
    ['samples, measured', await figures('--steps', String(settings.steps), '--guidance', String(settings.guidance))],
    ['fingerprint of the data', `\`${info.data}\``],
    ['trained with', `latentkit ${info.library}, from random weights`],
  ].filter(([, value]) => value !== undefined)
  return `# The bundled emoji model

![Samples of the bundled model](emoji.png)

Samples as they come, none chosen: in columns ${prompts.map(prompt => `"${prompt}"`).join(', ')}; in rows the seeds ${seeds.join(', ')}. ${settings.steps} steps of DDIM, guidance ${settings.guidance}. The same again: \`latentkit generate "${prompts[0]}" --seed 0\`.

| | |
|---|---|
${facts.map(([name, value]) => `| ${name} | ${value} |`).join('\n')}

The file's metadata holds the whole configuration, the recipe, the fingerprint of the data and the licences: \`latentkit inspect models/emoji.safetensors\`.

## What it is for
To try latentkit in a second, and to have something real to test with. A prompt is best put as the captions were: a name of an emoji and a style, such as "rocket, 3d emoji". Styles are noto, twemoji, blob, 3d, flat, black and white, emojitwo and firefox.

## What it cannot do
It has seen nothing but emoji, and few of each kind: what it paints of other words means nothing, fine detail (faces, letters, hands) is often broken, and a sentence that relates two things is not understood. Training goes on; this card tells how far it was when this file was made. A run that goes on from these weights starts with a new warm-up, since the optimiser's state is not bundled.

## Data
11,961 emoji of 128x128 pixels on white in eight styles, about 1,900 concepts, two or three captions each; 265 pairs of concept and style were held out.

| style | source | licence |
|---|---|---|
| noto | googlefonts/noto-emoji, Google | Apache-2.0 |
| twemoji | svgmoji/svgmoji: Twemoji, Twitter, Inc. and contributors | CC-BY-4.0 |
| blob | svgmoji/svgmoji: Blobmoji | Apache-2.0 |
| 3d, flat, black and white | shuding/fluentui-emoji-unicode: Fluent Emoji, Microsoft | MIT |
| emojitwo | EmojiTwo/emojitwo | CC-BY-4.0 |
| firefox | mozilla/fxemoji, Mozilla | CC-BY-4.0 |
| names, keywords | milesj/emojibase; unicode-org/cldr-json | MIT; Unicode-3.0 |

The weights themselves are under latentkit's licence (MIT).

## How it was trained
\`\`\`
latentkit train autoencoder configs/emoji-autoencoder.yaml -o runs/emoji
latentkit train diffusion configs/emoji-diffusion.yaml -o runs/emoji
node tools/bundle-model.js runs/emoji data/emoji-128
\`\`\`
`
}
