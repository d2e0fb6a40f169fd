import type { Size } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { factorOf, type ModelConfig } from '../model-config.js'

/** What the sides of a picture are multiples of: the first stage halves it, and the UNet again at each of its levels. */
export const unitOf = (config: ModelConfig): number =>
  factorOf(config) * 2 ** (config.unet_config!.channel_mult.length - 1)

/** A size that the networks can paint, as it is; throws LatentkitError for others, with the nearest. */
export function checkSides(config: ModelConfig, { width, height }: Size): Size {
  for (const [name, side] of Object.entries({ width, height })) checkSide(config, name, side)
  return { width, height }
}

/** Throws LatentkitError for a side, in pixels, that the networks cannot have, with the nearest that they can. */
export function checkSide(config: ModelConfig, name: string, side: number): void {
  const unit = unitOf(config)
  if (side % unit === 0 && side > 0) return
  const near = Math.max(unit, Math.round(side / unit) * unit)
  throw new LatentkitError(
    `generate: the ${name} is ${side} pixels; this model wants a multiple of ${unit}, such as ${near}`,
  )
}
