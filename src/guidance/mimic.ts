import { combine, quantileOfSizes } from '../diffusion/index.js'

export interface MimicOptions {
  /** Images times channels: each map of numbers is brought into range by itself. */
  readonly maps: number
  /** Which of the guided map's sizes counts as its largest, 0 to 1: a few may stick out and are clipped. */
  readonly percentile: number
  /** Share of the result; the rest is as it was. */
  readonly phi: number
}

/**
 * Dynamic thresholding of latents: a strongly guided prediction keeps its own mean, and the range that a weaker guidance,
 * `mimic`, would have given it. Source: mcmonkeyprojects/sd-dynamic-thresholding, dynthres_core.py, with its defaults.
 */
export function mimicRange(guided: Float32Array, mimic: Float32Array, options: MimicOptions): Float32Array {
  const { maps, percentile, phi } = options
  const size = guided.length / maps
  const out = new Float32Array(guided.length)
  for (let start = 0; start < out.length; start += size) {
    const [map, like] = [guided, mimic].map(all => all.subarray(start, start + size)) as [Float32Array, Float32Array]
    const mean = meanOf(map)
    const centred = map.map(value => value - mean)
    const likeMean = meanOf(like)
    const wanted = like.reduce((most, value) => Math.max(most, Math.abs(value - likeMean)), 0)
    const range = Math.max(wanted, quantileOfSizes(centred, percentile))
    const factor = range === 0 ? 1 : wanted / range
    for (let i = 0; i < size; i++) out[start + i] = Math.min(Math.max(centred[i]!, -range), range) * factor + mean
  }
  return phi === 1 ? out : combine(phi, out, 1 - phi, guided)
}

const meanOf = (map: Float32Array): number => map.reduce((sum, value) => sum + value, 0) / map.length
