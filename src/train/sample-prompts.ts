import { combine, cumulativeAlphas, makeBetas } from '../diffusion/index.js'
import { clean, type Step, timedLevel } from '../diffusion/steps.js'
import { gridOfImages, type Image, pixelsToImage } from '../image/index.js'
import { factorOf, type ModelConfig } from '../pipelines/model-config.js'
import { decodeLatents } from '../pipelines/networks.js'
import { torchGenerator } from '../random/index.js'
import { hostIntegers, hostTensor, type WeightSource } from '../runtime/index.js'
import { ddim } from '../samplers/ddim.js'
import { predictor } from '../samplers/model.js'
import { trace } from '../tensor/program.js'
import { f32 } from '../tensor/tensor.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { predictionProgram } from './diffusion.js'
import type { DeviceLearner } from './learner.js'

export interface SampleOptions {
  readonly config: ModelConfig
  readonly learner: DeviceLearner
  /** Weights of the first stage. */
  readonly frozen: WeightSource
  readonly latents: readonly [number, number, number]
  readonly tokenizer: Tokenizer | undefined
  readonly prompts: readonly string[]
  readonly steps: number
  readonly guidance: number
}

/** Makes a function that paints a grid of the same prompts and seeds, by DDIM, with the weights as they stand. */
export async function samplePrompts(options: SampleOptions): Promise<() => Promise<Image>> {
  const { config, learner, frozen, latents, tokenizer, prompts, steps, guidance } = options
  const count = prompts.length
  const guided = tokenizer !== undefined
  const asked = guided ? 2 * count : count
  const predict = await learner.state.compile(predictionProgram(config, { batch: asked, latents }), {
    use: learner.use,
  })
  const decode = await learner.state.compile(
    trace({ z: f32(count, ...latents) }, (at, { z }) => ({ images: decodeLatents(at, config, z) })),
    { frozen },
  )
  const length = latents.reduce((a, b) => a * b)
  const noise = new Float32Array(count * length)
  for (let seed = 0; seed < count; seed++) noise.set(torchGenerator(seed).randn(length), seed * length)
  const { parameterization, ...schedule } = config.diffusion!
  const bars = cumulativeAlphas(makeBetas(schedule))
  const plan = trailingSteps(bars, steps)
  const tokens = tokensOf(config, tokenizer, [...prompts, ...prompts.map(() => '')])

  async function network(x: Float32Array, t: number): Promise<Float32Array> {
    const both = guided ? Float32Array.from([...x, ...x]) : x
    const times = hostIntegers(new Array<number>(asked).fill(t))
    const inputs = { x: hostTensor(both, [asked, ...latents]), t: times, ...tokens }
    const raw = (await predict(inputs)).prediction!.data as Float32Array
    if (!guided) return raw
    // Classifier-free guidance (Ho & Salimans 2022, eq. 6), its scale counted from the unconditional prediction.
    return combine(guidance, raw.subarray(0, x.length), 1 - guidance, raw.subarray(x.length))
  }

  return async () => {
    let x: Float32Array = noise
    for await (const step of ddim(predictor(network, { parameterization }), x, plan)) x = step.x
    const { images } = await decode({ z: hostTensor(x, [count, ...latents]) })
    const side = latents[1] * factorOf(config)
    const picture = (_: unknown, index: number) => pixelsToImage(images!.data as Float32Array, side, side, { index })
    return gridOfImages(prompts.map(picture), { columns: Math.min(8, count) })
  }
}

/** Evenly spaced steps that begin in the schedule's last time, where there is least signal (Lin et al. 2023, section 3.3). */
function trailingSteps(bars: ArrayLike<number>, steps: number): Step[] {
  const times = Array.from({ length: steps }, (_, i) => Math.round((bars.length * (steps - i)) / steps) - 1)
  return times.map((t, i) => ({
    from: timedLevel(bars, t),
    to: i + 1 < steps ? timedLevel(bars, times[i + 1]!) : clean,
  }))
}

function tokensOf(config: ModelConfig, tokenizer: Tokenizer | undefined, texts: readonly string[]) {
  if (tokenizer === undefined) return {}
  const length = config.cond_stage_config!.max_seq_len
  return {
    tokens: hostIntegers(
      texts.flatMap(text => [...tokenizer.encode(text, length).ids]),
      [texts.length, length],
    ),
  }
}
