import { LatentkitError } from '../../platform/errors.js'
import { latentShape } from '../programs.js'
import { parametersOf } from '../settings/parameters.js'
import { openConditions } from './conditions.js'
import { decode } from './decode.js'
import type { GenerateEvent } from './events.js'
import { generatedImage } from './generated-image.js'
import { openGuidances } from './guidance/chain.js'
import { guidedNetwork } from './network.js'
import { noiseOf } from './noise.js'
import { type Parts, type Variant, variantOf } from './parts.js'
import type { Lease } from './recent.js'
import type { Batch, Stage, Work } from './stage.js'
import { startingLatents } from './start.js'
import { wayOf } from './way.js'

/** What a generation borrows from its model. */
export interface Lender {
  readonly name: string
  /** The networks of a variant, until they are given back. */
  lend(variant: Variant): Promise<Lease<Parts>>
}

/** Makes the pictures of a plan, stage by stage. */
export async function* generatePictures(work: Work, { name, lend }: Lender): AsyncGenerator<GenerateEvent, void> {
  const { model, plan, signal } = work
  const { seeds, batch: most, previewEvery } = plan
  const way = wayOf(work)
  const batches = chunks(seeds, most)
  const total = batches.length * way.steps
  signal?.throwIfAborted()
  const conditions = await openConditions(work)
  await using parts = await lend(variantOf(plan))
  const latents = latentShape(model.config, plan)
  const stage: Stage = { ...work, parts: parts.value, latents }
  await using guidances = await openGuidances(stage)
  yield { type: 'start', total, seeds, tokensLeftOut: conditions.leftOut }

  for (const [i, group] of batches.entries()) {
    const batch: Batch = { seeds: group, shape: [group.length, ...latents] }
    const told = await conditions.of(stage, batch)
    const noise = noiseOf(batch)
    const pictures = async (z: Float32Array) =>
      (await decode(stage, batch, z)).map((picture, j) => told.finish(picture, j))
    let x = startingLatents(noise)
    let taken = 0
    const network = await guidedNetwork(stage, batch, {
      conditions: told,
      guidances: guidances.all,
      step: () => taken,
    })
    for await (const { x: next, x0 } of way.run(network, x, noise.next)) {
      signal?.throwIfAborted()
      x = next
      taken++
      const step = i * way.steps + taken
      checkNumbers(x, step)
      const shown = previewEvery !== undefined && step % previewEvery === 0 && step < total
      yield { type: 'step', step, total, ...(shown && { previews: await pictures(x0) }) }
    }
    for (const [j, picture] of (await pictures(x)).entries()) {
      const seed = group[j]!
      const settings = parametersOf(plan, seed, name)
      yield { type: 'image', image: generatedImage(picture, settings), index: i * most + j, seed, settings }
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
