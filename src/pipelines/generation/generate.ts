import type { Image } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { sizeOf } from '../../tensor/shape.js'
import { latentShape } from '../programs.js'
import { parametersOf } from '../settings/parameters.js'
import { openMixed } from './conditions/mix.js'
import { decode } from './decode.js'
import type { GenerateEvent } from './events.js'
import { generatedImage } from './generated-image.js'
import { openGuidances } from './guidance/chain.js'
import { keeperOf } from './known-part.js'
import { guidedNetwork } from './network/network.js'
import { variantOf } from './parts.js'
import { openPreviews } from './previews/previews.js'
import { openRefiner } from './refine.js'
import type { Batch, Lender, Stage, Work } from './stage.js'
import { openStart } from './start.js'
import { variedNoise } from './variation.js'
import { wayOf } from './way.js'

/** Makes the pictures of a plan, stage by stage. */
export async function* generatePictures(work: Work, { name, lend }: Lender): AsyncGenerator<GenerateEvent, void> {
  const { model, plan, signal } = work
  const { seeds, batch: most, previewEvery } = plan
  const way = wayOf(work)
  const batches = chunks(seeds, most)
  const total = batches.length * way.steps
  signal?.throwIfAborted()
  const conditions = await openMixed(work)
  await using parts = await lend(variantOf(model, plan, conditions.chunks))
  const { get } = parts.value
  // All are handed to the device at once: it loads one while the other is being prepared here.
  await Promise.all([get('conditions'), get('denoiser'), get('decoder')])
  const latents = latentShape(model.config, plan)
  const length = sizeOf(latents)
  const stage: Stage = { ...work, parts: parts.value, latents }
  const start = await openStart(stage)
  await using guidances = await openGuidances({ ...stage, start })
  await using previews = await openPreviews(stage)
  await using refiner = await openRefiner(work, start)
  yield { type: 'start', total, seeds, tokensLeftOut: conditions.leftOut }

  for (const [i, group] of batches.entries()) {
    const batch: Batch = { seeds: group, first: i * most, shape: [group.length, ...latents] }
    const noise = variedNoise(plan, batch, way.noise)
    const telling = conditions.ask(batch, noise)
    const each = (x: Float32Array) => group.map((_, j) => x.slice(j * length, (j + 1) * length))
    let x = start.latents(way, noise, batch)
    const told = await telling(stage)
    const finish = (picture: Image, j: number) => start.finish(told.finish(picture, j))
    let taken = 0
    const keeper = start.known && keeperOf(plan, start.known, batch, { noise, level: way.start })
    const guided = await guidedNetwork(stage, batch, {
      conditions: told,
      guidances: guidances.all,
    })
    const around = keeper?.around ?? (network => network)
    const going = refiner?.of(way, { batch, noise, around }) ?? way
    for await (const { x: next, x0 } of going.run(around(guided), x, { noise: noise.next, before: keeper?.before })) {
      signal?.throwIfAborted()
      x = next
      taken++
      // A sampler that chooses its own steps may take more.
      const step = i * way.steps + Math.min(taken, way.steps)
      checkNumbers(x, step)
      const shown = previewEvery !== undefined && step % previewEvery === 0 && step < total
      const painted = shown ? await previews?.paint(each(x0)) : undefined
      yield { type: 'step', step, total, ...(painted && { previews: painted.map(finish) }) }
    }
    const made = each(keeper?.end(x) ?? x)
    for (const [j, picture] of (await decode(stage, plan, made)).map(finish).entries()) {
      const seed = group[j]!
      const settings = parametersOf(plan, batch.first + j, { model: name, added: model.added })
      const image = generatedImage(picture, settings)
      yield {
        type: 'image',
        image,
        latents: { data: made[j]!, shape: latents },
        index: batch.first + j,
        seed,
        settings,
      }
    }
  }
}

function checkNumbers(x: Float32Array, step: number): void {
  if (x.every(Number.isFinite)) return
  throw new LatentkitError(
    `generate: after step ${step} the picture holds numbers that are none; the weights are damaged or a setting is far out of the model's range`,
  )
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const out: T[][] = []
  for (let i = 0; i < items.length; i += size) out.push(items.slice(i, i + size))
  return out
}
