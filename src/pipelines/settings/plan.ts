import type { z } from 'zod'
import {
  type ConditionsReader,
  checkRequest,
  type Request,
  requestFields,
  sizeOfRequest,
} from '../../conditioning/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { type Sampler, samplers } from '../../samplers/index.js'
import { validate } from '../../schema/index.js'
import { type ModelConfig, trainedSize } from '../model-config.js'
import { withOwnHint } from './hint.js'
import { type GenerateSettings, generateSettings } from './index.js'
import { fitInit, type Init, listensTo, sizeOfInit, splitInit } from './init.js'
import { seedsOf } from './seeds.js'
import { checkSide, checkSides } from './size.js'
import { withProfile } from './with-profile.js'

/** Latents made larger are blurred in a way that no picture is: more of them has to be painted anew. */
const hiresStrengths = { pixels: 0.5, latents: 0.7 }

/** Everything decided: what a generation will do. */
export interface Plan
  extends Omit<
    z.output<typeof generateSettings>,
    'seed' | 'count' | 'seeds' | 'width' | 'height' | 'latents' | 'fit' | 'variationSeed' | keyof typeof requestFields
  > {
  readonly prompt: string
  /** What the conditions of the model are made from. */
  readonly request: Request
  /** The class that a classifier leads to. */
  readonly classifierClass: string | number | undefined
  readonly seeds: readonly number[]
  /** What the noise of each seed is turned towards. */
  readonly variationSeeds: readonly number[]
  readonly width: number
  readonly height: number
  /** What the pictures start from; noise alone if undefined. */
  readonly init: Init | undefined
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
  const { seed, count, seeds, variationSeed, ...all } = validate(
    generateSettings,
    withProfile(given, name => listensTo(config.conditioning, name)),
    'generate',
  )
  const fields = Object.keys(requestFields)
  const pick = (wanted: boolean) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => fields.includes(name) === wanted))
  const settings = pick(false) as Omit<typeof all, keyof typeof requestFields>
  const { class: wantedClass, ...others } = pick(true) as { class?: string | number }
  const split = splitInit(config.conditioning, others, settings)
  // Of a model without classes the class is the classifier's alone.
  const forModel = settings.classifier === undefined || config.conditioning?.class !== undefined
  const request: Request = {
    ...split.request,
    ...(forModel && wantedClass !== undefined && { class: wantedClass }),
    prompt,
    negativePrompt: settings.negativePrompt,
  }
  checkRequest(config.conditioning, request)
  if (settings.hires !== undefined && (split.init || sizeOfRequest(config.conditioning, request))) {
    throw new LatentkitError(
      'generate: hires paints first small, then larger, from noise; leave it out where a picture says what to start from or how large to be',
    )
  }
  const wanted = sizeOfRequest(config.conditioning, request) ?? (split.init && sizeOfInit(config, split.init))
  const size = checkSides(config, {
    width: settings.width ?? wanted?.width ?? trainedSize(config),
    height: settings.height ?? wanted?.height ?? trainedSize(config),
  })
  for (const name of ['window', 'tile'] as const) {
    const side = settings[name]
    if (side !== undefined) checkSide(config, name, side)
  }
  const init = split.init && fitInit(split.init, size, settings.fit)
  return {
    ...settings,
    ...size,
    prompt,
    request: withOwnHint(config, request, init),
    classifierClass: wantedClass,
    batch: (samplers[settings.sampler] as Sampler).alone ? 1 : settings.batch,
    guidance: conditions.guides ? settings.guidance : 1,
    ...seedsOf({ ...settings, seed, count, seeds, variationSeed }),
    init,
    strength: split.init?.strength,
    hiresStrength: settings.hiresStrength ?? hiresStrengths[settings.hiresBy],
  }
}
