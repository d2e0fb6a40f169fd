import { latentShape } from './recipes.js'

const digits = (value, count = 3) => String(Number(value.toPrecision(count)))
const minutes = seconds => digits(seconds / 60)
const rate = ({ samples, seconds }) => samples / seconds
const last = list => list.at(-1)
const row = cells => `| ${cells.join(' | ')} |`

/** The panels of the drawing: distance against time as in figure 6 of the paper, against sampling speed as in figure 7. */
export function panels({ models }) {
  const y = 'Fréchet distance (SqueezeNet 1.1)'
  const all = Object.entries(models).map(([f, { curve }]) => ({ name: `f = ${f}`, curve }))
  const overTime = ({ name, curve }) => ({ name, points: curve.map(at => [at.seconds / 60, at.distance]) })
  const overSpeed = ({ name, curve }) => ({ name, points: [[last(curve).rate, last(curve).distance]] })
  return [
    { title: 'Distance while training', x: 'training, minutes of the processor', y, series: all.map(overTime) },
    { title: 'Distance and speed at the end', x: 'samples a second of the processor', y, series: all.map(overSpeed) },
  ]
}

/** The study in words and tables; every number is of `results`. */
export function report(results) {
  const { settings, recipes, machine, models } = results
  const entries = Object.entries(models)
  const { name, against } = last(entries[0][1].curve)
  const ends = entries.map(([f, { curve }]) => [Number(f), last(curve)])
  const [best] = ends.toSorted(([, a], [, b]) => a.distance - b.distance)
  const [, pixels] = ends.find(([f]) => f === 1)
  const fastest = Math.max(...ends.map(([, { rate }]) => rate))
  const compared = ends
    .filter(([f]) => f > 1)
    .map(([f, { distance, rate: own }]) => {
      const trained = rate(models[f].diffusion) / rate(models[1].diffusion)
      return `- f = ${f}: distance ${digits(distance / pixels.distance)} times that of f = 1, training ${digits(trained)} times as fast, sampling ${digits(own / pixels.rate)} times.`
    })
  return `<!-- Written by bench/first-stage-factor from its results.json: do not edit. -->
# What the first stage's factor does

![Fréchet distance against training time and sampling speed](first-stage-factor.svg)

Figures 6 and 7 and the comparison of factors in Rombach et al. 2022, section 4.1, in small: an unconditional latent diffusion
model on first stages of factors ${entries.map(([f]) => f).join(', ')} (1: pixels), each trained for ${digits(settings.minutes)} minutes of the processor on
the ${against} photographs of clothes that are not held out, at ${settings.size}x${settings.size}; first stages had ${digits(settings.minutes)} minutes each before.

## What came out
Best at the end: f = ${best[0]}, ${digits(best[1].distance, 4)}. Most samples a second: ${digits(fastest)}.

${compared.join('\n')}

The paper, with far more compute, found f = 4 to 16 ahead of pixels by at least 2.7 times in speed and 1.6 times in FID, f = 4
and 8 best. One run of each, one seed: small differences mean nothing.

## Diffusion models
${name} of ${settings.samples} samples, DDIM with ${settings.steps} steps, to those ${against} photographs. It is no FID.

${row(['f', 'latents', 'parameters', 'training, samples/s', 'samples seen', 'sampling, samples/s', ...entries[0][1].curve.map(at => `distance after ${digits(at.share * settings.minutes)} min`)])}
${row(['---:', '---', ...Array(4 + entries[0][1].curve.length).fill('---:')])}
${entries
  .map(([f, { diffusion, curve }]) => {
    const { parameters, samples } = diffusion
    const speeds = [digits(rate(diffusion)), samples, digits(last(curve).rate)]
    const distances = curve.map(({ distance }) => digits(distance, 4))
    return row([f, latentShape(Number(f)).join('x'), `${digits(parameters / 1e6)}M`, ...speeds, ...distances])
  })
  .join('\n')}

## First stages
Distance of ${entries[0][1].reconstruction.pictures} reconstructed photographs to all of the training set, by the same network; that of f = 1 is of the photographs
themselves, so what their number costs. PSNR in decibels, of held-out photographs.

${row(['f', 'parameters', 'minutes', 'samples seen', 'reconstruction distance', 'PSNR'])}
${row(Array(6).fill('---:'))}
${entries
  .map(
    ([
      f,
      {
        firstStage,
        reconstruction: { distance, psnr },
      },
    ]) => {
      const trained = firstStage
        ? [`${digits(firstStage.parameters / 1e6)}M`, minutes(firstStage.seconds), firstStage.samples]
        : ['-', '-', '-']
      return row([f, ...trained, digits(distance, 4), psnr === undefined ? '-' : psnr.toFixed(2)])
    },
  )
  .join('\n')}

## How
- Processor: ${machine.processor}, ${settings.threads} ${settings.threads === 1 ? 'thread' : 'threads'}; Node ${machine.node}, latentkit ${machine.latentkit}.
- Time is the processor's, in all threads, of training steps with their data. Compiling, encoding the photographs once and
  measuring are not in it. Rates are by the same clock.
- The UNet, its batch and its learning rate are the same for every f, but for the channels of the latents.
- Again: \`npm run build && node bench/first-stage-factor/main.js PHOTOGRAPHS --minutes ${settings.minutes} --samples ${settings.samples} --steps ${settings.steps} --threads ${settings.threads}\`

The recipe of the diffusion models, f = ${last(entries)[0]}:
\`\`\`json
${JSON.stringify(last(Object.values(recipes)).diffusion)}
\`\`\`
That of the first stages, f = ${last(entries)[0]}:
\`\`\`json
${JSON.stringify(last(Object.values(recipes)).firstStage)}
\`\`\`
`
}
