import { brownianPath, philoxGenerator, torchGenerator } from '../../random/index.js'
import type { Noise } from '../contract.js'

/** Which of torch's generators a tool draws from: the processor's (MT19937) or a CUDA device's (Philox). */
export type NoiseSource = 'cpu' | 'gpu'

/** A picture by its seed and its place among those that its tool makes at once with that seed. */
export interface SeededPicture {
  readonly seed: number
  /** From 0 on. */
  readonly place: number
  readonly of: number
}

/** Which noise is asked for. */
export interface PlainNoiseRequest {
  readonly pictures: readonly SeededPicture[]
  /** [channels, height, width] of one picture. */
  readonly shape: readonly [number, number, number]
  readonly source: NoiseSource
}

/** What is asked of a tool's noise. */
export interface NoiseRequest extends PlainNoiseRequest {
  /** Lowest level above 0 and highest level, over which a Brownian path lies. */
  readonly sigmaMin: number
  readonly sigmaMax: number
  /** What is added to the seeds for the noise after the start; the tools that know it take it. */
  readonly seedDelta?: number | undefined
}

/** The noise of a batch: for its start, then for whatever a sampler draws. */
export interface BatchNoise {
  readonly start: Noise
  readonly next: Noise
}

/** A generator as one picture sees it: each call gives its part of the numbers that are drawn for all at once. */
export function drawsOf(source: NoiseSource, picture: SeededPicture, length: number): () => Float32Array {
  const { seed, place, of } = picture
  if (source === 'gpu') {
    const generator = philoxGenerator(seed)
    return () => generator.randn(length, place * length)
  }
  const generator = torchGenerator(seed)
  return () => generator.randn(of * length).subarray(place * length, (place + 1) * length)
}

/** Numbers of one picture's latents. */
export const lengthOf = ({ shape: [channels, height, width] }: PlainNoiseRequest): number => channels * height * width

/** The noise of each picture of a batch, as one. */
export function together(pictures: readonly Noise[]): Noise {
  return (from, to) => {
    const parts = pictures.map(draw => draw(from, to))
    const length = parts[0]!.length
    const out = new Float32Array(parts.length * length)
    for (const [i, part] of parts.entries()) out.set(part, i * length)
    return out
  }
}

/** Every picture by the generator of its own seed, start and steps from the same. */
export function plainNoise(request: PlainNoiseRequest): BatchNoise {
  const draw = together(request.pictures.map(picture => drawsOf(request.source, picture, lengthOf(request))))
  return { start: draw, next: draw }
}

/**
 * Noise between two levels as the increment of a Brownian path over the levels, scaled to unit variance, so that it does
 * not hang on the number of steps. Source: k-diffusion, sampling.py, BrownianTreeNoiseSampler.
 */
export function brownianNoise(request: NoiseRequest, source: NoiseSource): Noise {
  const { fround } = Math
  const paths = request.pictures.map(picture =>
    brownianPath({
      low: fround(request.sigmaMin),
      high: fround(request.sigmaMax),
      seed: picture.seed,
      draw: seed => drawsOf(source, { ...picture, seed }, lengthOf(request))(),
    }),
  )
  return together(
    paths.map(path => (from, to) => {
      if (from === undefined || to === undefined) {
        throw new TypeError('A Brownian path has noise between two levels alone; this sampler names none')
      }
      const [a, b] = [fround(from), fround(to)]
      const size = 1 / Math.sqrt(Math.abs(b - a))
      return path(a, b).map(value => value * size)
    }),
  )
}
