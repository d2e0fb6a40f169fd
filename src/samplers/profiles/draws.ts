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
  /** The first of all pictures that are made; of these if left out. */
  readonly first?: SeededPicture | undefined
  /** What is added to the seeds for the noise after the start; the tools that know it take it. */
  readonly seedDelta?: number | undefined
}

/** The noise of a batch: for its start, then for whatever a sampler draws. */
export interface BatchNoise {
  readonly start: Noise
  readonly next: Noise
  /** By what latents of pictures are drawn about their means, for tools that do: the same each time; called before `start`. */
  readonly encoded?: Noise
  /** What a known part of pictures is noised by, for tools that show it so to the network: the same each time. */
  readonly known?: Noise
  /** By what the conditions of each picture draw, for tools that have a rule for it. */
  readonly conditions?: readonly Draw[]
}

/** Draws so many unit normals. */
export type Draw = (count: number) => Float32Array

/** A generator as one picture sees it: each call gives its part of the numbers that are drawn for all at once. */
export function generatorOf(source: NoiseSource, { seed, place, of }: SeededPicture): Draw {
  if (source === 'gpu') {
    const generator = philoxGenerator(seed)
    return count => generator.randn(count, place * count)
  }
  const generator = torchGenerator(seed)
  return count => generator.randn(of * count).subarray(place * count, (place + 1) * count)
}

/** The same for arrays of one length. */
export function drawsOf(source: NoiseSource, picture: SeededPicture, length: number): () => Float32Array {
  const draw = generatorOf(source, picture)
  return () => draw(length)
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

/** Noise that is drawn when it is first asked for, and the same ever after. */
export function once(noise: Noise): Noise {
  let drawn: Float32Array | undefined
  return () => {
    drawn ??= noise()
    return drawn
  }
}

/** Every picture by the generator of its own seed, start and steps from the same. */
export function plainNoise(request: PlainNoiseRequest): BatchNoise {
  const { start, next } = sharedNoise(request)
  return { start, next }
}

/** The same, where encoders and conditions draw from that generator too, in the order in which they ask. */
export function sharedNoise(request: PlainNoiseRequest): Required<BatchNoise> {
  const length = lengthOf(request)
  const conditions = request.pictures.map(picture => generatorOf(request.source, picture))
  const draw = together(conditions.map(own => () => own(length)))
  const start = once(draw)
  return { start, known: start, next: draw, encoded: once(draw), conditions }
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
