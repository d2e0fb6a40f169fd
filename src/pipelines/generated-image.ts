import { writeFileAtomic } from '#platform'
import { encodePng, formatParameters, type Image, type Parameters } from '../image/index.js'
import { version } from '../platform/version.js'
import { samplers } from '../samplers/index.js'
import type { Plan } from './settings.js'

/** A picture that a model made: RGB bytes, row by row from the top left, and what made it. */
export interface GeneratedImage extends Image {
  /** What made it; a PNG carries it in AUTOMATIC1111's text format. */
  readonly parameters: Parameters
  /** The picture as a PNG file. */
  png(): Promise<Uint8Array>
  /**
   * Writes the picture as a PNG file.
   *
   * @throws FileError where it cannot be written; LatentkitError in a browser, where `png()` gives the bytes.
   */
  save(path: string): Promise<void>
}

/** A picture with what made it. */
export function generatedImage(image: Image, parameters: Parameters): GeneratedImage {
  const png = () => encodePng(image, { text: { parameters: formatParameters(parameters) } })
  return { ...image, parameters, png, save: async path => writeFileAtomic(path, await png()) }
}

/** A plan's settings for one of its pictures, in A1111's words. */
export function parametersOf(plan: Plan, seed: number, model: string): Parameters {
  const { prompt, negativePrompt, steps, sampler, schedule, guidance, width, height, eta } = plan
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
    ...(eta !== undefined && { extra: { Eta: String(eta) } }),
    version: `latentkit ${version}`,
  }
}
