import { cumulativeAlphas, makeBetas, samplingPlan } from '../diffusion/index.js'
import { guide } from '../guidance/classifier-free.js'
import { gridOfImages, type Image, pixelsToImage } from '../image/index.js'
import type { ModelConfig } from '../pipelines/model-config.js'
import { decodingProgram, denoisingProgram, latentShape, textProgram } from '../pipelines/programs.js'
import { trainedSize } from '../pipelines/settings.js'
import { torchGenerator } from '../random/index.js'
import { type HostTensors, hostIntegers, hostTensor, type WeightSource } from '../runtime/index.js'
import { ddim } from '../samplers/ddim.js'
import { predictor } from '../samplers/model.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { DeviceLearner } from './learner.js'

export interface SampleOptions {
  readonly config: ModelConfig
  readonly learner: DeviceLearner
  /** Weights of the first stage. */
  readonly frozen: WeightSource
  readonly tokenizer: Tokenizer | undefined
  readonly prompts: readonly string[]
  readonly steps: number
  readonly guidance: number
}

/** Makes a function that paints a grid of the same prompts and seeds, by DDIM, with the weights as they stand. */
export async function samplePrompts(options: SampleOptions): Promise<() => Promise<Image>> {
  const { config, learner, frozen, tokenizer, prompts, steps, guidance } = options
  const { state, use } = learner
  const side = trainedSize(config)
  const size = { width: side, height: side }
  const denoise = await state.compile(denoisingProgram(config, size), { use })
  const decode = await state.compile(decodingProgram(config, size), { frozen })
  const encode = tokenizer && (await state.compile(textProgram(config), { use }))
  const shape = latentShape(config, size)
  const length = shape[0] * shape[1] * shape[2]
  const count = prompts.length
  const asked = encode ? 2 * count : count
  const noise = new Float32Array(count * length)
  for (let seed = 0; seed < count; seed++) noise.set(torchGenerator(seed).randn(length), seed * length)
  const { parameterization, ...schedule } = config.diffusion!
  const alphasCumprod = cumulativeAlphas(makeBetas(schedule))
  const plan = samplingPlan(alphasCumprod, { steps })

  async function contexts(): Promise<HostTensors> {
    if (!encode) return {}
    const { max_seq_len } = config.cond_stage_config!
    const texts = [...prompts, ...prompts.map(() => '')]
    const ids = texts.flatMap(text => [...tokenizer.encode(text, max_seq_len).ids])
    const { context } = await encode({ tokens: hostIntegers(ids, [asked, max_seq_len]) })
    return { context: context! }
  }

  return async () => {
    const text = await contexts()
    const network = async (x: Float32Array, t: number): Promise<Float32Array> => {
      const both = encode ? Float32Array.from([...x, ...x]) : x
      const inputs = { x: hostTensor(both, [asked, ...shape]), t: hostTensor(new Float32Array(asked).fill(t)), ...text }
      const raw = (await denoise(inputs)).prediction!.data as Float32Array
      return encode ? guide(raw.subarray(0, x.length), raw.subarray(x.length), guidance) : raw
    }
    let x: Float32Array = noise
    for await (const step of ddim(predictor(network, { parameterization }), x, plan)) x = step.x
    const { images } = await decode({ z: hostTensor(x, [count, ...shape]) })
    const picture = (_: unknown, index: number) => pixelsToImage(images!.data as Float32Array, side, side, { index })
    return gridOfImages(prompts.map(picture), { columns: Math.min(8, count) })
  }
}
