import { philox4x32, type TorchGenerator, torchGenerator } from '../random/index.js'

/** What random numbers are for; each purpose has its own numbers, so that one more draw here moves nothing there. */
const purposes = {
  weights: 1,
  data: 2,
  posterior: 3,
  noise: 4,
  time: 5,
  caption: 6,
  'held-out': 7,
  condition: 8,
  'held-out-condition': 9,
  offset: 10,
  codebook: 11,
  discriminator: 12,
  class: 13,
} as const
export type Purpose = keyof typeof purposes

/**
 * The generator for one purpose and one index (a batch's number) of a seeded run. It is a function of these alone: the
 * position in a run is the whole state of its noise, so that resuming is exact.
 *
 * @example streamOf(7, 'noise', 300).randn(4 * 16 * 16)
 */
export function streamOf(seed: number, purpose: Purpose, index: number): TorchGenerator {
  const [word] = philox4x32(
    [index >>> 0, Math.floor(index / 2 ** 32), purposes[purpose], 0],
    [seed >>> 0, Math.floor(seed / 2 ** 32)],
  )
  return torchGenerator(word)
}
