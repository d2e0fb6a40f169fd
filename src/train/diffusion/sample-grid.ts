import { fixedDraws } from '../../data/index.js'
import { modelSchedule, samplingPlan } from '../../diffusion/index.js'
import { guide } from '../../guidance/classifier-free.js'
import { gridOfImages, type Image, pixelsToImage } from '../../image/index.js'
import { trainedSize } from '../../pipelines/model-config.js'
import { conditionProgram, decodingProgram, denoisingProgram, latentShape } from '../../pipelines/programs.js'
import { torchGenerator } from '../../random/index.js'
import { type HostTensors, hostTensor, type WeightSource } from '../../runtime/index.js'
import { samplingNetwork } from '../../samplers/flow/network.js'
import { predictor } from '../../samplers/model.js'
import { ddim } from '../../samplers/timesteps/ddim.js'
import type { Evaluation } from '../learner.js'
import { streamOf } from '../streams.js'
import type { DiffusionSource } from './batches.js'
import type { DiffusionRecipe } from './recipe.js'

export interface PainterOptions {
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

/**
 * Paints by DDIM with the weights as they stand, so many pictures at once: the i-th after the conditions of the i-th
 * picture (over again where there are fewer) and seed i, or after a caption of its own.
 */
export type Painter = (first: number, count: number, captions?: readonly string[]) => Promise<Image[]>

/** Compiles what painting during training needs. */
export async function openPainter(options: PainterOptions): Promise<Painter> {
  const { source, learner, frozen, pictures } = options
  const { config, conditions } = source
  const { steps, guidance } = options.samples
  const { state, use } = learner
  const side = trainedSize(config)
  const size = { width: side, height: side }
  const denoise = await state.compile(denoisingProgram(config, size), { use, frozen })
  const decode = await state.compile(decodingProgram(config, size), { use, frozen })
  const embedding = conditionProgram(config, size)
  const embed = embedding && (await state.compile(embedding, { use, frozen }))
  const shape = latentShape(config, size)
  const length = shape[0] * shape[1] * shape[2]
  const both = embed !== undefined && options.guides && guidance !== 1
  const { parameterization, timesteps } = config.diffusion!
  const plan = samplingPlan(modelSchedule(config.diffusion!).alphasCumprod, { steps })

  return async (first, count, captions) => {
    const numbers = Array.from({ length: count }, (_, i) => first + i)
    const draws = fixedDraws(numbers.map(i => pictures[i % pictures.length]!))
    const conditioned = async (dropped: boolean): Promise<HostTensors> => {
      const random = (i: number) => streamOf(0, 'held-out-condition', numbers[i]!)
      return embed!(await conditions(draws, { dropped: () => dropped, random, captions }))
    }
    const positive = embed ? await conditioned(false) : {}
    const negative = both ? await conditioned(true) : undefined
    const one = async (x: Float32Array, t: number, given: HostTensors): Promise<Float32Array> => {
      const inputs = { x: hostTensor(x, [count, ...shape]), t: hostTensor(new Float32Array(count).fill(t)), ...given }
      return (await denoise(inputs)).prediction!.data as Float32Array
    }
    const raw = async (x: Float32Array, t: number): Promise<Float32Array> =>
      negative ? guide(await one(x, t, positive), await one(x, t, negative), guidance) : one(x, t, positive)
    const { network, ...prediction } = samplingNetwork(raw, parameterization, timesteps)
    let x: Float32Array = new Float32Array(count * length)
    for (const [i, seed] of numbers.entries()) x.set(torchGenerator(seed).randn(length), i * length)
    for await (const step of ddim(predictor(network, prediction), x, plan)) x = step.x
    const { images } = await decode({ z: hostTensor(x, [count, ...shape]) })
    return numbers.map((_, index) => pixelsToImage(images!.data as Float32Array, side, side, { index }))
  }
}

/** The grid of samples that a recipe asks for. */
export async function sampleGrid(paint: Painter, { prompts, count }: DiffusionRecipe['samples']): Promise<Image> {
  const images = await paint(0, prompts?.length ?? count, prompts)
  return gridOfImages(images, { columns: Math.min(8, images.length) })
}
