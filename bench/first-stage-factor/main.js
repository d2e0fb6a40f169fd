// What the factor of the first stage does to a diffusion model with equal compute (Rombach et al. 2022, figures 6 and 7).
//   npm run build && node bench/first-stage-factor/main.js PHOTOGRAPHS [-o runs/study] [--minutes 30] [--samples 1000]
//     [--steps 20] [--threads 1] [--docs docs]
// Trains a first stage and a diffusion model for each factor, --minutes of the processor's time each, measures the models
// after 1/8, 1/4, 1/2 and all of it, and writes first-stage-factor.svg and .md into --docs when all is done. Ctrl-C stops
// it at any time; the same command goes on. Killed, it loses an eighth of one budget at most.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import * as latentkit from '../../dist/index.js'
import { chart } from './chart.js'
import { openMeasures } from './measuring.js'
import * as recipesOf from './recipes.js'
import { panels, report } from './report.js'
import { notBegun, trainUntil } from './training.js'

const { autoencoderRecipe, diffusionRecipe, openCheckpoint, openDevice, trainAutoencoder, trainDiffusion } = latentkit
const { factors, size } = recipesOf
/** A budget is spent in as many parts, each with a checkpoint; models are measured after some. */
const parts = 8
const measuredAfter = [1, 2, 4, 8]

const text = value => ({ type: 'string', default: value })
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { ...text('runs/study'), short: 'o' },
    docs: text('docs'),
    minutes: text('30'),
    samples: text('1000'),
    steps: text('20'),
    threads: text('1'),
  },
})
const [minutes, samples, steps, threads] = ['minutes', 'samples', 'steps', 'threads'].map(name => Number(values[name]))
const whole = [samples, steps, threads].every(value => Number.isInteger(value) && value > 0)
if (positionals.length !== 1 || !whole || !(minutes > 0) || samples < 2) {
  console.error('wanted: node bench/first-stage-factor/main.js PHOTOGRAPHS, and positive numbers (2 samples or more)')
  process.exit(2)
}
const photographs = resolve(positionals[0])
const at = name => join(values.out, name)

const settings = { photographs, minutes, samples, steps, threads, size }
const recipes = Object.fromEntries(
  factors.map(f => [f, { diffusion: recipesOf.diffusion(f), ...(f > 1 && { firstStage: recipesOf.firstStage(f) }) }]),
)
const machine = { processor: cpus()[0].model, node: process.version, latentkit: latentkit.version }
const begun = { settings, recipes, machine, models: {} }
const results = existsSync(at('results.json')) ? JSON.parse(await readFile(at('results.json'), 'utf8')) : begun
for (const kept of ['settings', 'recipes', 'machine']) {
  if (isDeepStrictEqual(results[kept], begun[kept])) continue
  console.error(
    `${at('results.json')} is of a study with other ${kept}; go on with the same, or name another folder: -o`,
  )
  process.exit(2)
}
async function save() {
  await writeFile(at('results.json.part'), `${JSON.stringify(results, null, 2)}\n`)
  await rename(at('results.json.part'), at('results.json'))
}

const ended = new AbortController()
const stop = ended.signal
process.once('SIGINT', () => ended.abort())
process.once('SIGTERM', () => ended.abort())

await mkdir(values.out, { recursive: true })
const device = await openDevice('cpu', { threads })
let measures
try {
  const file = at('photographs.npz')
  measures = await openMeasures({ device, photographs, file, samples, steps, threads, stop })
  for (const f of factors) await study(f)
  await mkdir(values.docs, { recursive: true })
  await writeFile(join(values.docs, 'first-stage-factor.svg'), chart(panels(results)))
  await writeFile(join(values.docs, 'first-stage-factor.md'), report(results))
  console.log(`written: ${join(values.docs, 'first-stage-factor.md')} and .svg`)
} catch (error) {
  if (!stop.aborted || error.name !== 'AbortError') throw error
  console.log('stopped; the same command goes on')
  process.exitCode = 130
} finally {
  await measures?.close()
  await device.dispose()
}

/** Does what is not done yet of one factor. */
async function study(f) {
  const model = (results.models[f] ??= { curve: [] })
  const { firstStage, diffusion } = recipes[f]
  const stagePath = firstStage && at(`first-stage-f${f}.safetensors`)
  if (firstStage) {
    const recipe = autoencoderRecipe.parse(inFolder(firstStage))
    const options = { device, recipe, path: stagePath }
    for (let part = 1; part <= parts; part++) await spend(f, 'firstStage', part, trainAutoencoder, options)
  }
  if (!model.reconstruction) {
    model.reconstruction = await measures.reconstructions(stagePath)
    await save()
    console.log(`f = ${f}: reconstruction distance ${model.reconstruction.distance.toFixed(2)}`)
  }
  const path = at(`diffusion-f${f}.safetensors`)
  const stage = stagePath && (await openCheckpoint(stagePath))
  try {
    const recipe = diffusionRecipe.parse(inFolder(diffusion))
    const options = { device, recipe, path, firstStage: stage, latentFolder: at('latents') }
    for (let part = 1; part <= parts; part++) {
      await spend(f, 'diffusion', part, trainDiffusion, options)
      const share = part / parts
      if (!measuredAfter.includes(part) || model.curve.some(point => point.share >= share)) continue
      const { steps, seconds } = model.diffusion
      model.curve.push({ share, steps, seconds, ...(await measures.samples(path)) })
      await save()
      console.log(`f = ${f}: ${(seconds / 60).toFixed(2)} minutes, distance ${model.curve.at(-1).distance.toFixed(2)}`)
    }
  } finally {
    await stage?.close()
  }
}

/** Trains until a part of the budget is spent, if it is not yet. */
async function spend(f, kind, part, trainer, options) {
  const model = results.models[f]
  const limit = (part / parts) * minutes * 60
  const from = model[kind] ?? notBegun
  if (from.seconds >= limit) return
  const told = async where => {
    model[kind] = where
    await save()
  }
  const { samples, loss } = await trainUntil(limit, { trainer, options, from, stop, save: told })
  console.log(`f = ${f}: ${kind} ${part}/${parts}, ${samples} samples, loss ${loss.toPrecision(4)}`)
}

function inFolder(recipe) {
  return { ...recipe, data: { ...recipe.data, folder: photographs } }
}
