import { fixedDraws } from '../data/index.js'
import { modelSchedule, samplingPlan } from '../diffusion/index.js'
import { guide } from '../guidance/classifier-free.js'
import { gridOfImages, type Image, pixelsToImage } from '../image/index.js'
import { conditionProgram, decodingProgram, denoisingProgram, latentShape } from '../pipelines/programs.js'
import { trainedSize } from '../pipelines/settings.js'
import { torchGenerator } from '../random/index.js'
import { type HostTensors, hostTensor, type WeightSource } from '../runtime/index.js'
import { ddim } from '../samplers/ddim.js'
import { samplingNetwork } from '../samplers/flow.js'
import { predictor } from '../samplers/model.js'
import type { DiffusionSource } from './diffusion-batches.js'
import type { DiffusionRecipe } from './diffusion-recipe.js'
import type { Evaluation } from './learner.js'
import { streamOf } from './streams.js'

export interface SampleOptions {
  readonly source: Pick<DiffusionSource, 'config' | 'conditions'>
  /** Whether any condition can be left out. */
  readonly guides: boolean
  readonly learner: Evaluation
  /** Weights that are not trained. */
  readonly frozen: WeightSource
  /** Pictures whose conditions are painted after, by their positions. */
  readonly pictures: readonly number[]
  readonly samples: DiffusionRecipe['samples']
}

/** Makes a function that paints a grid after the same conditions and seeds, by DDIM, with the weights as they stand. */
export async function sampleGrid(options: SampleOptions): Promise<() => Promise<Image>> {
  const { source, learner, frozen, pictures } = options
  const { config, conditions } = source
  const { prompts, steps, guidance } = options.samples
  const { state, use } = learner
  const side = trainedSize(config)
  const size = { width: side, height: side }
  const denoise = await state.compile(denoisingProgram(config, size), { use, frozen })
  const decode = await state.compile(decodingProgram(config, size), { use, frozen })
  const embedding = conditionProgram(config, size)
  const embed = embedding && (await state.compile(embedding, { use, frozen }))
  const shape = latentShape(config, size)
  const length = shape[0] * shape[1] * shape[2]
  const count = prompts?.length ?? options.samples.count
  const both = embed !== undefined && options.guides && guidance !== 1
  const noise = new Float32Array(count * length)
  for (let seed = 0; seed < count; seed++) noise.set(torchGenerator(seed).randn(length), seed * length)
  const { parameterization, timesteps } = config.diffusion!
  const plan = samplingPlan(modelSchedule(config.diffusion!).alphasCumprod, { steps })
  const draws = fixedDraws(Array.from({ length: count }, (_, i) => pictures[i % pictures.length]!))
  const conditioned = (dropped: boolean): Promise<HostTensors> =>
    conditions(draws, { dropped: () => dropped, random: i => streamOf(0, 'held-out-condition', i), captions: prompts })
  const asked = embed && (await Promise.all([conditioned(false), ...(both ? [conditioned(true)] : [])]))

  return async () => {
    const [positive, negative] = asked ? await inTurn(asked.map(inputs => () => embed(inputs))) : [{}]
    const one = async (x: Float32Array, t: number, given: HostTensors): Promise<Float32Array> => {
      const inputs = { x: hostTensor(x, [count, ...shape]), t: hostTensor(new Float32Array(count).fill(t)), ...given }
      return (await denoise(inputs)).prediction!.data as Float32Array
    }
    const raw = async (x: Float32Array, t: number): Promise<Float32Array> =>
      negative ? guide(await one(x, t, positive!), await one(x, t, negative), guidance) : one(x, t, positive!)
    const { network, ...prediction } = samplingNetwork(raw, parameterization, timesteps)
    let x: Float32Array = noise
    for await (const step of ddim(predictor(network, prediction), x, plan)) x = step.x
    const { images } = await decode({ z: hostTensor(x, [count, ...shape]) })
    const picture = (index: number) => pixelsToImage(images!.data as Float32Array, side, side, { index })
    return gridOfImages(
      Array.from({ length: count }, (_, i) => picture(i)),
      { columns: Math.min(8, count) },
    )
  }
}

async function inTurn<T>(calls: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = []
  for (const call of calls) results.push(await call())
  return results
}
