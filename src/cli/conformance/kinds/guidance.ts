import { z } from 'zod'
import {
  addNoise,
  compvisStart,
  compvisSteps,
  cumulativeAlphas,
  ddimTimesteps,
  diffusersStart,
  makeBetas,
  scaleByStd,
} from '../../../diffusion/index.js'
import { guide, guideByTwo, keepKnown, rescaleGuided } from '../../../guidance/index.js'
import {
  type Before,
  ddim,
  dynamicThreshold,
  limitNorm,
  limitSpatialNorm,
  type Network,
  type Noise,
  plms,
  predictor,
  quantileOfSizes,
} from '../../../samplers/index.js'
import type { Case } from '../case.js'
import type { Value } from '../compare.js'
import { type JsonValue, type Kind, vector } from '../kind.js'
import { filesAnswer } from './samplers/compvis.js'
import { experiment, stacked } from './samplers/formula.js'
import { readBetaSchedule, readPlan } from './schedules.js'

const formula = z.object({ a: z.number(), b: z.number(), c: z.number(), d: z.number(), e: z.number() })

/** F(x, t, context) = a x + b sin(c x + d t) + e k cos x, with k the mean of each image's context. */
async function conditioned(testCase: Case, context: string): Promise<Network> {
  const { a, b, c, d, e } = formula.parse(testCase.config.model)
  const { shape, data } = await testCase.input(context)
  const images = shape[0]!
  const tokens = data.length / images
  const means = Float64Array.from({ length: images }, (_, i) => {
    const own = (data as Float32Array).subarray(i * tokens, (i + 1) * tokens)
    return own.reduce((sum, value) => sum + value, 0) / tokens
  })
  return (x, t) => {
    const size = x.length / images
    return x.map((v, i) => a * v + b * Math.sin(c * v + d * t) + e * means[Math.floor(i / size)]! * Math.cos(v))
  }
}

/** The formula with the prompt and without, guided. */
async function guidedFormula(testCase: Case, scale: number): Promise<Network> {
  const conditional = await conditioned(testCase, 'context')
  if (scale === 1) return conditional
  const unconditional = await conditioned(testCase, 'context_empty')
  return async (x, t) => guide(await conditional(x, t), await unconditional(x, t), scale)
}

function scheduleOf(testCase: Case) {
  const schedule = readBetaSchedule(testCase.config.schedule)
  const alphasCumprod = Float32Array.from(cumulativeAlphas(makeBetas(schedule)))
  return { alphasCumprod, timesteps: (S: number) => ddimTimesteps('uniform', S, schedule.timesteps) }
}

interface Sampled {
  readonly network: Network
  readonly steps: ReturnType<typeof compvisSteps>
  readonly eta: number
  readonly noise: Noise
  readonly before?: Before | undefined
}

/** A whole trajectory of one of CompVis' samplers, as the tensors `x` and `pred_x0` under a prefix. */
async function trajectory(
  name: 'ddim' | 'plms',
  { network, steps, eta, noise, before }: Sampled,
  { start, shape, prefix }: { start: Float32Array; shape: readonly number[]; prefix: string },
): Promise<[string, Value][]> {
  const asked = predictor(network, { parameterization: 'epsilon' })
  const sampling =
    name === 'ddim' ? ddim(asked, start, steps, { eta, noise, before }) : plms(asked, start, steps, { before })
  const [x, x0] = [[start], [] as Float32Array[]]
  for await (const step of sampling) {
    x.push(step.x)
    x0.push(step.x0)
  }
  return [
    [`${prefix}.x`, stacked(x, shape)],
    [`${prefix}.pred_x0`, stacked(x0, shape)],
  ]
}

const samplerNames = ['ddim', 'plms'] as const
const freeConfig = z.object({ model: formula, S: z.int(), eta: z.number(), scales: z.array(z.number()).min(1) })

/** Classifier-free guidance in CompVis' samplers. */
const classifierFree: Kind = {
  kind: 'guidance',
  recognises: ({ objects, config }) => objects.includes('DDIMSampler') && freeConfig.safeParse(config).success,
  async run(testCase) {
    const { S, eta, scales } = freeConfig.parse(testCase.config)
    const { alphasCumprod, timesteps } = scheduleOf(testCase)
    const tensors: [string, Value][] = []
    for (const name of samplerNames) {
      for (const scale of scales) {
        const { start, shape, noise } = await experiment(testCase)
        const steps = compvisSteps(alphasCumprod, timesteps(S))
        const network = await guidedFormula(testCase, scale)
        const place = { start, shape, prefix: `${name}.scale${scale}` }
        tensors.push(...(await trajectory(name, { network, steps, eta, noise }, place)))
      }
    }
    return filesAnswer(testCase, new Map(tensors), {})
  },
}

const blendConfig = z.object({ model: formula, S: z.int(), eta: z.number() })

/** Inpainting by blending in CompVis' samplers. */
const inpainting: Kind = {
  kind: 'guidance',
  recognises: ({ objects, config, files }) =>
    objects.includes('DDIMSampler') &&
    blendConfig.safeParse(config).success &&
    Object.values(files).some(({ tensors }) => Object.hasOwn(Object(tensors), 'mask')),
  async run(testCase) {
    const { S, eta } = blendConfig.parse(testCase.config)
    const { alphasCumprod, timesteps } = scheduleOf(testCase)
    const [x0, mask] = [await testCase.input('x0'), await testCase.input('mask')]
    const tensors: [string, Value][] = []
    const counts: Record<string, JsonValue> = {}
    for (const name of samplerNames) {
      const { start, shape, noise, noisesUsed } = await experiment(testCase)
      const formula = await conditioned(testCase, 'context')
      const before = keepKnown({
        x0: x0.data as Float32Array,
        mask: mask.data as Float32Array,
        shape: shape as [number, number, number, number],
        noise,
      })
      // The original's PLMS draws noise for each of its evaluations and multiplies it by 0: those after it shift.
      const network: Network = async (x, t) => {
        const prediction = await formula(x, t)
        if (name === 'plms') noise()
        return prediction
      }
      const steps = compvisSteps(alphasCumprod, timesteps(S))
      const place = { start, shape, prefix: name }
      tensors.push(...(await trajectory(name, { network, steps, eta, noise, before }, place)))
      counts[name] = { noises_used: noisesUsed() }
    }
    return filesAnswer(testCase, new Map(tensors), counts)
  },
}

const imageConfig = z.object({
  model: formula,
  compvis: z.array(z.object({ S: z.int(), strength: z.number(), scale: z.number() })),
  diffusers: z.array(z.looseObject({ scheduler: z.string(), num_inference_steps: z.int(), strength: z.number() })),
})

/** Starts from an image: CompVis' with the whole way from there, diffusers' of each scheduler. */
const imageToImage: Kind = {
  kind: 'guidance',
  recognises: ({ objects, config }) => objects.includes('stochastic_encode') && imageConfig.safeParse(config).success,
  async run(testCase) {
    const config = imageConfig.parse(testCase.config)
    const { alphasCumprod, timesteps } = scheduleOf(testCase)
    const { data, shape } = await testCase.input('x0')
    const x0 = data as Float32Array
    const encoding = (await testCase.input('noise_enc')).data as Float32Array
    const tensors = new Map<string, Value>()

    const compvis: JsonValue[] = []
    for (const run of config.compvis) {
      const { S, strength, scale } = run
      const rising = timesteps(S)
      const made = { ...run, t_enc: Math.floor(strength * S), ddim_steps_made: rising.length }
      try {
        const { level, steps } = compvisStart(alphasCumprod, rising, { steps: S, strength })
        const encoded = addNoise(x0, encoding, level)
        const predict = predictor(await guidedFormula(testCase, scale), { parameterization: 'epsilon' })
        let result = encoded
        for await (const { x } of ddim(predict, encoded, steps)) result = x
        tensors.set(`compvis.S${S}.strength${strength}.encoded`, { shape, data: encoded })
        tensors.set(`compvis.S${S}.strength${strength}.result`, { shape, data: result })
        const used = steps.map(({ from }) => from.t)
        compvis.push({ ...made, timesteps_in_order_of_use: used, encoded_at_timestep: level.t })
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        // The case asks for a refusal here, told in the words of the reference.
        compvis.push({ ...made, error: 'index out of range: t_enc equals the number of DDIM steps' })
      }
    }

    const diffusers = config.diffusers.map((run): JsonValue => {
      const { scheduler, config: complete, plan } = readPlan({ ...run, set_timesteps: {} })
      const { strength, num_inference_steps } = run
      const start = diffusersStart(scheduler, complete, plan, strength)
      if (start.level) {
        const noised = { shape, data: addNoise(x0, encoding, start.level) }
        tensors.set(`diffusers.${scheduler}.n${num_inference_steps}.strength${strength}.noised`, noised)
      }
      return { scheduler, num_inference_steps, strength, timesteps: start.timesteps, steps_left: start.stepsLeft }
    })
    return filesAnswer(testCase, tensors, { compvis, diffusers })
  },
}

const combineConfig = z.object({
  scales: z.array(z.number()).min(1),
  phis: z.array(z.number()),
  thresholding: z.array(z.tuple([z.number(), z.number()])),
  norm_value: z.number(),
  image_scale: z.number(),
})

/** What is done to predictions: combining, rescaling, thresholds. */
const combining: Kind = {
  kind: 'guidance',
  recognises: ({ objects, config }) => objects.includes('rescale_noise_cfg') && combineConfig.safeParse(config).success,
  async run(testCase) {
    const { scales, phis, thresholding, norm_value, image_scale } = combineConfig.parse(testCase.config)
    const { shape } = await testCase.input('x0')
    const images = shape[0]!
    const [uncond, cond, image, x0] = (await Promise.all(
      ['uncond', 'cond', 'cond_image', 'x0'].map(async name => (await testCase.input(name)).data),
    )) as [Float32Array, Float32Array, Float32Array, Float32Array]
    const tensors = new Map<string, Value>()
    const put = (name: string, data: Float32Array) => tensors.set(name, { shape, data })
    for (const scale of scales) {
      const guided = guide(cond, uncond, scale)
      put(`cfg.scale${scale}`, guided)
      for (const phi of phis) put(`rescaled.scale${scale}.phi${phi}`, rescaleGuided(guided, cond, { phi, images }))
    }
    for (const [i, [ratio, max]] of thresholding.entries()) {
      put(`threshold${i}`, dynamicThreshold(ratio, max, images)(x0))
      const size = x0.length / images
      const quantiles = Array.from({ length: images }, (_, k) =>
        quantileOfSizes(x0.subarray(k * size, (k + 1) * size), ratio),
      )
      tensors.set(`threshold${i}.quantile`, vector(quantiles))
    }
    put('norm_thresholding', limitNorm(norm_value, images)(x0))
    put('spatial_norm_thresholding', limitSpatialNorm(norm_value, shape as [number, number, number, number])(x0))
    const scaled = { imageScale: image_scale, textScale: scales[0]! }
    put('image_and_text', guideByTwo({ unconditional: uncond, image, both: cond, ...scaled }))
    return filesAnswer(testCase, tensors, {})
  },
}

/** The latent scale that training takes from its first batch. */
const latentScale: Kind = {
  kind: 'guidance',
  recognises: ({ objects }) => objects.includes('on_train_batch_start'),
  async run(testCase) {
    const { data } = await testCase.input('z')
    return filesAnswer(testCase, new Map([['scale_factor', vector([scaleByStd(data as Float32Array)])]]), {})
  },
}

export const guidanceKinds: readonly Kind[] = [classifierFree, inpainting, imageToImage, combining, latentScale]
