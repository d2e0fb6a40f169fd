import type { Parameters } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { version } from '../../platform/version.js'
import { type ProfileName, type SamplerName, samplers } from '../../samplers/index.js'
import { a1111Samplers, a1111Schedules } from './a1111-names.js'
import { type GenerateSettings, generateSettings, settingsGroups } from './index.js'
import { readLines, toldLines } from './lines.js'
import type { Plan } from './plan.js'

/** A plan's settings for the picture of an index, in A1111's words, with what was added to the model. */
export function parametersOf(
  plan: Plan,
  index: number,
  { model, added = {} }: { readonly model: string; readonly added?: Readonly<Record<string, string>> | undefined },
): Parameters {
  const { prompt, negativePrompt, steps, sampler, schedule, guidance, width, height, request } = plan
  const all = { ...request, ...plan, variationSeed: plan.variationSeeds[index], ...placeOf(plan, index) } as never
  const extra = [...settingsGroups.map(group => toldLines(group, all)), added].flatMap(lines => Object.entries(lines))
  return {
    prompt,
    negativePrompt,
    steps,
    sampler: a1111Samplers[sampler] ?? samplers[sampler].label,
    scheduleType: a1111Schedules[schedule] ?? schedule,
    cfgScale: guidance,
    seed: plan.seeds[index]!,
    width,
    height,
    model,
    ...(extra.length > 0 && { extra: Object.fromEntries(extra) }),
    version: `latentkit ${version}`,
  }
}

/** The place of a picture among those that a tool makes at once. */
const placeOf = ({ batchSize, batchPlace = 0 }: Plan, index: number) =>
  batchSize === undefined ? {} : { batchPlace: batchPlace + index }

/**
 * The settings with which a picture is made again; what its parameters do not say is left out.
 *
 * @throws LatentkitError for a sampler that is not known here.
 */
export function settingsOf(parameters: Parameters): GenerateSettings {
  const { negativePrompt, steps, seed, width, height, extra = {} } = parameters
  // A1111 wrote the schedule behind the sampler's name once.
  const [, sampler, behind] = /^(.*?)(?: (Karras|Exponential))?$/.exec(parameters.sampler ?? '')!
  const written = parameters.scheduleType ?? behind
  const { seedDelta, ...read }: GenerateSettings = Object.assign(
    {},
    ...settingsGroups.map(group => readLines(group, extra)),
  )
  const profile = read.profile ?? toolOf(parameters.version)
  const settings = {
    profile,
    negativePrompt,
    steps,
    seed,
    width,
    height,
    guidance: parameters.cfgScale,
    sampler: sampler === '' ? undefined : samplerOf(sampler!),
    schedule: written === undefined ? undefined : scheduleOf(written),
    ...read,
    seedDelta: profile === 'a1111' ? seedDelta : undefined,
  }
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

/**
 * The tool that made a picture, as far as its version tells: A1111's are `v1.10.1`, `1.10.1` where it came without git,
 * those of its fork Forge `f2.0.1v1.10.1`.
 */
function toolOf(version = ''): ProfileName | undefined {
  if (version.startsWith('stable-diffusion.cpp')) return 'sdcpp'
  return /^(?:(?:f[\d.]+)?v\d|\d+\.\d+\.\d+$)/.test(version) ? 'a1111' : undefined
}

/** A schedule by A1111's name, which it wrote in small letters once, or ours. */
function scheduleOf(label: string): GenerateSettings['schedule'] {
  const foreign = Object.entries(a1111Schedules).find(([, name]) => name.toLowerCase() === label.toLowerCase())
  return generateSettings.shape.schedule.safeParse(foreign?.[0] ?? label.toLowerCase().replaceAll(' ', '_')).data
}

function samplerOf(label: string): SamplerName {
  const found = Object.entries(samplers).find(([name, sampler]) =>
    [name, sampler.label, a1111Samplers[name as SamplerName]].includes(label),
  )
  if (found) return found[0] as SamplerName
  const known = Object.values(samplers).map(sampler => sampler.label)
  throw new LatentkitError(`The picture was made with the sampler "${label}"; known are ${known.join(', ')}`)
}
