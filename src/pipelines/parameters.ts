import { type Request, type RequestField, requestFields } from '../conditioning/index.js'
import type { Parameters } from '../image/index.js'
import { LatentkitError } from '../platform/errors.js'
import { version } from '../platform/version.js'
import { type SamplerName, samplers } from '../samplers/index.js'
import { type GenerateSettings, generateSettings, type Plan } from './settings.js'

/** A plan's settings for one of its pictures, in A1111's words. */
export function parametersOf(plan: Plan, seed: number, model: string): Parameters {
  const { prompt, negativePrompt, steps, sampler, schedule, guidance, width, height, eta, request } = plan
  const extra = { ...(eta !== undefined && { Eta: String(eta) }), ...shownConditions(request), ...shownGuides(plan) }
  return {
    prompt,
    negativePrompt,
    steps,
    sampler: samplers[sampler].label,
    scheduleType: schedule,
    cfgScale: guidance,
    seed,
    width,
    height,
    model,
    ...(Object.keys(extra).length > 0 && { extra }),
    version: `latentkit ${version}`,
  }
}

/** Conditions that fit into a line, as settings of a picture: `Class: cat`. */
const shownConditions = (request: Request): Record<string, string> =>
  Object.fromEntries(
    Object.entries<RequestField>(requestFields).flatMap(([name, { show }]) =>
      show && request[name] !== undefined ? [[titled(name), show(request[name])]] : [],
    ),
  )

/** What led a picture besides its conditions, for people to read: the guides themselves are not in the settings. */
const shownGuides = (plan: Plan): Record<string, string> => ({
  ...(plan.guide && {
    'Guided by': `${plan.guideBy}${plan.guideWeight === undefined ? '' : `, weight ${plan.guideWeight}`}`,
  }),
  ...(plan.classifier && { 'Led to class': `${plan.classifierClass}, weight ${plan.classifierWeight}` }),
})

/** The conditions that a picture's settings tell. */
const conditionsIn = (extra: Readonly<Record<string, string>> = {}): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries<RequestField>(requestFields).flatMap(([name, { parse }]) => {
      const text = extra[titled(name)]
      return parse && text !== undefined ? [[name, parse(text)]] : []
    }),
  )

const titled = (name: string) => name[0]!.toUpperCase() + name.slice(1)

/**
 * The settings with which a picture is made again; what its parameters do not say is left out.
 *
 * @throws LatentkitError for a sampler that is not known here.
 */
export function settingsOf(parameters: Parameters): GenerateSettings {
  const { negativePrompt, steps, seed, width, height, extra } = parameters
  const schedule = generateSettings.shape.schedule.safeParse(parameters.scheduleType?.toLowerCase()).data
  const settings = {
    negativePrompt,
    steps,
    seed,
    width,
    height,
    guidance: parameters.cfgScale,
    sampler: parameters.sampler === undefined ? undefined : samplerOf(parameters.sampler),
    schedule: parameters.scheduleType === undefined ? undefined : schedule,
    eta: extra?.Eta === undefined ? undefined : Number(extra.Eta),
    ...conditionsIn(extra),
  }
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

function samplerOf(label: string): SamplerName {
  const found = Object.entries(samplers).find(([name, sampler]) => [name, sampler.label].includes(label))
  if (found) return found[0] as SamplerName
  const known = Object.values(samplers).map(sampler => sampler.label)
  throw new LatentkitError(`The picture was made with the sampler "${label}"; known are ${known.join(', ')}`)
}
