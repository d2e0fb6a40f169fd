import { z } from 'zod'
import { LatentkitError } from '../../platform/errors.js'
import { sizeOf } from '../../tensor/shape.js'

/** What a diffusion model works on instead of a picture's pixels, shifted and scaled as it has them. */
export interface Latents {
  readonly data: Float32Array
  /** [channels, height, width]. */
  readonly shape: readonly [number, number, number]
}

const isLatents = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  'data' in value &&
  value.data instanceof Float32Array &&
  'shape' in value &&
  Array.isArray(value.shape) &&
  value.shape.length === 3

const wanted = 'wanted latents: { data, shape }, as a picture of a generation has them'

/** Latents that are handed in. */
export const latentsSchema = z.custom<Latents>(isLatents, wanted)

/** The same of all pictures, or of each. */
export const severalLatentsSchema = z.custom<Latents | readonly Latents[]>(
  value => (Array.isArray(value) ? value.length > 0 && value.every(isLatents) : isLatents(value)),
  wanted,
)

/** Throws LatentkitError unless latents are of the shape that is wanted. */
export function checkLatents({ data, shape }: Latents, wanted: Latents['shape']): void {
  if (String(shape) === String(wanted) && data.length === sizeOf(wanted)) return
  throw new LatentkitError(
    `generate: latents have ${data.length} numbers of shape [${shape.join(', ')}], this model and size want [${wanted.join(', ')}]`,
  )
}
