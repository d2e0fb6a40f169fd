import { profiles, rulesOf } from '../../samplers/index.js'
import type { GenerateSettings } from './index.js'

/** Settings with the defaults of the tool whose profile they name; `knows` says whether the model takes a condition. */
export function withProfile(given: GenerateSettings, knows: (condition: string) => boolean): GenerateSettings {
  const name = given.profile
  if (name === undefined || !Object.hasOwn(profiles, name)) return given
  const own = profiles[name]
  const { promptStyle, ...defaults } = own.defaults
  const { sampler = defaults.sampler, guidance = defaults.guidance } = given
  return {
    ...defaults,
    ...(knows('promptStyle') && { promptStyle }),
    schedule: rulesOf(own, sampler).schedule,
    ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as GenerateSettings),
    guidance: own.unguidedTo !== undefined && guidance <= own.unguidedTo ? 1 : guidance,
  }
}
