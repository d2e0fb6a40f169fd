import { gridOfImages, type Image, pixelsToImage } from '../../image/index.js'
import { type Executable, type HostTensors, hostTensor, type WeightSource } from '../../runtime/index.js'
import type { Task } from '../fit.js'
import { type DeviceLearner, lossesOf } from '../learner.js'
import { autoencoderProgram, codebookOutputs } from './programs.js'
import type { FirstStageTraining } from './training.js'

export interface FirstStageEvaluationOptions {
  readonly training: FirstStageTraining
  readonly learner: DeviceLearner
  readonly frozen: WeightSource
  /** Pictures by number, [count, 3, size, size] in [-1, 1], always the same ones. */
  readonly pixelsOf: (pictures: readonly number[]) => Promise<Float32Array>
  /** How many pictures there are. */
  readonly count: number
  readonly size: number
}

/** What a first stage makes of held-out pictures, and each of them with what comes back of it. */
export interface FirstStageEvaluation extends Pick<Task, 'evaluate' | 'picture'> {
  pairs(): AsyncGenerator<readonly [original: Image, reconstruction: Image]>
}

/** Pictures that are shown, and computed at once. */
const shown = 8

/** What a first stage makes of held-out pictures: means of its loss and PSNR, how codes are used, and a grid to look at. */
export function firstStageEvaluation(options: FirstStageEvaluationOptions): FirstStageEvaluation {
  const { training, learner, frozen, pixelsOf, count, size } = options
  const batch = Math.min(shown, count)
  const program = autoencoderProgram(training, batch, size, 'evaluate')
  let run: Executable | undefined
  const reconstruct = async (first: number) => {
    run ??= await learner.state.compile(program, { use: learner.use, frozen })
    const pixels = await pixelsOf(Array.from({ length: batch }, (_, i) => first + i))
    const outputs: HostTensors = await run({ images: hostTensor(pixels, [batch, 3, size, size]) })
    return { pixels, outputs, reconstructions: outputs.reconstructions!.data as Float32Array }
  }
  const imagesOf = (values: Float32Array) =>
    Array.from({ length: batch }, (_, index) => pixelsToImage(values, size, size, { index }))
  return {
    async evaluate() {
      const sums: Record<string, number> = {}
      let counts: Float64Array | undefined
      let groups = 0
      for (let i = 0; i + batch <= count; i += batch, groups++) {
        const { pixels, outputs, reconstructions } = await reconstruct(i)
        const { loss, terms } = lossesOf(outputs)
        for (const [name, value] of Object.entries({
          loss,
          ...terms,
          psnr: meanPsnr(pixels, reconstructions, batch),
        })) {
          sums[name] = (sums[name] ?? 0) + value
        }
        const chosen = outputs[codebookOutputs.counts]?.data as Float32Array | undefined
        if (chosen) counts = Float64Array.from(chosen, (n, code) => n + (counts?.[code] ?? 0))
      }
      const means = Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / groups]))
      return { ...means, ...(counts && useOf(counts)) }
    },
    async picture() {
      const { pixels, reconstructions } = await reconstruct(0)
      return gridOfImages([pixels, reconstructions].flatMap(imagesOf), { columns: batch })
    },
    async *pairs() {
      for (let i = 0; i + batch <= count; i += batch) {
        const { pixels, reconstructions } = await reconstruct(i)
        const after = imagesOf(reconstructions)
        for (const [k, before] of imagesOf(pixels).entries()) yield [before, after[k]!]
      }
    },
  }
}

/** How widely codes are used, by their counts: the entropy's exponential, and how many are used at all. */
function useOf(counts: Float64Array): { perplexity: number; code_usage: number } {
  const total = counts.reduce((a, b) => a + b, 0)
  const entropy = counts.reduce((sum, n) => (n > 0 ? sum - (n / total) * Math.log(n / total) : sum), 0)
  return { perplexity: Math.exp(entropy), code_usage: counts.filter(n => n > 0).length }
}

/** Mean over the pictures of a batch of the peak signal-to-noise ratio in dB, of values clamped to [-1, 1]. */
function meanPsnr(pixels: Float32Array, reconstructions: Float32Array, batch: number): number {
  const size = pixels.length / batch
  let sum = 0
  for (let i = 0; i < batch; i++) {
    let squares = 0
    for (let j = i * size; j < (i + 1) * size; j++) {
      squares += (pixels[j]! - Math.min(1, Math.max(-1, reconstructions[j]!))) ** 2
    }
    // 4: the square of the range, -1 to 1. A picture that is met exactly counts 100 dB.
    sum += Math.min(100, 10 * Math.log10((4 * size) / squares))
  }
  return sum / batch
}
