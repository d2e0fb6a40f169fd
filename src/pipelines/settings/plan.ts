import type { z } from 'zod'
import {
  type ConditionsReader,
  checkRequest,
  type Request,
  requestFields,
  sizeOfRequest,
} from '../../conditioning/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { validate } from '../../schema/index.js'
import { factorOf, type ModelConfig, trainedSize } from '../model-config.js'
import { type GenerateSettings, generateSettings } from './index.js'

/** Everything decided: what a generation will do. */
export interface Plan
  extends Omit<
    z.output<typeof generateSettings>,
    'seed' | 'count' | 'seeds' | 'width' | 'height' | keyof typeof requestFields
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
  const settings = pick(false) as Omit<typeof all, keyof typeof requestFields>
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

/** The network halves a picture in the first stage and again at each of its own levels. */
function sideOf(config: ModelConfig, name: string, size: number): number {
  const unit = factorOf(config) * 2 ** (config.unet_config!.channel_mult.length - 1)
  if (size % unit === 0) return size
  const near = Math.max(unit, Math.round(size / unit) * unit)
  throw new LatentkitError(
    `generate: the ${name} is ${size} pixels; this model wants a multiple of ${unit}, such as ${near}`,
  )
}
