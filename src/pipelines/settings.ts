import { z } from 'zod'
import {
  type ConditionsReader,
  checkRequest,
  imageSchema,
  type Request,
  requestFields,
  requestShape,
  sizeOfRequest,
} from '../conditioning/index.js'
import { LatentkitError } from '../platform/errors.js'
import type { SourceLike } from '../platform/types.js'
import { type SamplerName, samplers } from '../samplers/index.js'
import { validate } from '../schema/index.js'
import { factorOf, type ModelConfig } from './model-config.js'

const count = z.int().positive()
/** torch's generator takes 32 bits of a seed. */
const seed = z.int().min(0).max(0xffffffff)

/** The settings of a generation beside its prompt. */
export const generateSettings = z
  .strictObject({
    negativePrompt: z.string().default('').describe('what guidance leads away from'),
    seed: seed
      .optional()
      .describe('of the first picture, the next ones count on from it; drawn by chance if not given'),
    count: count.max(100_000).optional().describe('how many pictures'),
    seeds: z.array(seed).min(1).max(100_000).optional().describe('one for each picture, instead of seed and count'),
    batch: count.max(1024).default(8).describe('most pictures that are made at once'),
    steps: count.default(20).describe('how often the network is asked'),
    guidance: z
      .number()
      .min(0)
      .max(1000)
      .default(3)
      .describe('how far prompt, class and the like lead the network; 1 is its plain answer'),
    sampler: z
      .enum(Object.keys(samplers) as [SamplerName, ...SamplerName[]])
      .default('ddim')
      .describe('the way from noise to a picture'),
    schedule: z
      .enum(['trailing', 'leading', 'linspace', 'karras', 'exponential'])
      .default('trailing')
      .describe('where the steps lie'),
    eta: z.number().min(0).max(1).optional().describe('share of the noise that the sampler adds anew'),
    width: count.optional().describe('in pixels; by default as in training'),
    height: count.optional().describe('in pixels; by default as in training'),
    previewEvery: count.optional().describe('steps between two previews'),
    ...requestShape,
    guide: imageSchema.optional().describe('a picture that leads the generation, without any training for it'),
    guideBy: z
      .enum(['l2', 'perceptual'])
      .default('l2')
      .describe('what is to become small: squared differences to the guide, or how differently it looks'),
    guideWeight: z
      .number()
      .min(0)
      .max(1e9)
      .optional()
      .describe('how far the guide leads (default 1; by perceptual 100)'),
    guideSize: count
      .optional()
      .describe('longer side in pixels at which picture and guide are compared (default that of the guide)'),
    classifier: z
      .custom<SourceLike>(value => ['string', 'object'].includes(typeof value))
      .optional()
      .describe('a noisy classifier that leads to the class, without any training of the model for it'),
    classifierWeight: z.number().min(0).max(1e6).default(3).describe('how far the classifier leads'),
  })
  .superRefine(({ seed, count, seeds }, { addIssue }) => {
    if (seeds && (seed !== undefined || count !== undefined))
      addIssue({ code: 'custom', path: ['seeds'], message: 'leave out seed and count where every picture has its own' })
  })

/** Settings of a generation as they are handed in: every one may be left out. */
export type GenerateSettings = z.input<typeof generateSettings>

/** Everything decided: what a generation will do. */
export interface Plan
  extends Omit<
    z.output<typeof generateSettings>,
    'seed' | 'count' | 'seeds' | 'width' | 'height' | keyof typeof requestShape
  > {
  readonly prompt: string
  /** What the conditions of the model are made from. */
  readonly request: Request
  /** The class that a classifier leads to. */
  readonly classifierClass: string | number | undefined
  readonly seeds: readonly number[]
  readonly width: number
  readonly height: number
}

/**
 * Checks the settings against a model and decides what was left open.
 *
 * @throws SchemaError for settings that are unknown or out of range, LatentkitError for those that the model cannot follow.
 */
export function planGeneration(
  { config, conditions }: { config: ModelConfig; conditions: Pick<ConditionsReader, 'guides'> },
  prompt: string,
  given: GenerateSettings,
): Plan {
  const { seed, count = 1, seeds, ...all } = validate(generateSettings, given, 'generate')
  const fields = Object.keys(requestFields)
  const pick = (wanted: boolean) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => fields.includes(name) === wanted))
  const settings = pick(false) as Omit<typeof all, keyof typeof requestShape>
  const { class: wantedClass, ...others } = pick(true) as { class?: string | number }
  // Of a model without classes the class is the classifier's alone.
  const forModel = settings.classifier === undefined || config.conditioning?.class !== undefined
  const request: Request = {
    ...others,
    ...(forModel && wantedClass !== undefined && { class: wantedClass }),
    prompt,
    negativePrompt: settings.negativePrompt,
  }
  checkRequest(config.conditioning, request)
  const first = seed ?? Math.floor(Math.random() * 2 ** 32)
  const trained = trainedSize(config)
  const size = sizeOfRequest(config.conditioning, request) ?? { width: trained, height: trained }
  return {
    ...settings,
    prompt,
    request,
    classifierClass: wantedClass,
    guidance: conditions.guides ? settings.guidance : 1,
    seeds: seeds ?? Array.from({ length: count }, (_, i) => (first + i) % 2 ** 32),
    width: sideOf(config, 'width', settings.width ?? size.width),
    height: sideOf(config, 'height', settings.height ?? size.height),
  }
}

/** Side in pixels of the pictures that a model was trained on. */
export const trainedSize = (config: ModelConfig): number => Number(config.unet_config!.image_size) * factorOf(config)

/** The network halves a picture in the first stage and again at each of its own levels. */
function sideOf(config: ModelConfig, name: string, size: number): number {
  const unit = factorOf(config) * 2 ** (config.unet_config!.channel_mult.length - 1)
  if (size % unit === 0) return size
  const near = Math.max(unit, Math.round(size / unit) * unit)
  throw new LatentkitError(
    `generate: the ${name} is ${size} pixels; this model wants a multiple of ${unit}, such as ${near}`,
  )
}
