import { discreteSigmas, type Step } from '../diffusion/index.js'
import type { Denoise, Noise, Predict, SampleStep, Sampling } from './contract.js'
import { ddim } from './ddim.js'
import { ddpm } from './ddpm.js'
import { euler } from './euler.js'
import { denoiser, type ModelOptions, type Network, predictor, scale } from './model.js'

export interface SampleOptions {
  /** Draws the next unit normals of the whole batch; only stochastic samplers call it. */
  readonly noise: Noise
  /** How much of the ancestral noise a stochastic sampler adds back, 0 to 1. */
  readonly eta?: number | undefined
}

interface VpSampler {
  readonly label: string
  /** Whether its default adds noise, so that the number of steps changes the picture. */
  readonly stochastic: boolean
  readonly overSteps: (predict: Predict, x: Float32Array, steps: readonly Step[], options: SampleOptions) => Sampling
}

interface SigmaSampler {
  readonly label: string
  readonly stochastic: boolean
  readonly overSigmas: (
    denoise: Denoise,
    x: Float32Array,
    sigmas: ArrayLike<number>,
    options: SampleOptions,
  ) => Sampling
}

/** All samplers by their names in the CLI, in configurations and in the pages. */
export const samplers = {
  ddim: { label: 'DDIM', stochastic: false, overSteps: ddim },
  ddpm: { label: 'DDPM (ancestral)', stochastic: true, overSteps: ddpm },
  euler: { label: 'Euler', stochastic: false, overSigmas: euler },
} satisfies Record<string, VpSampler | SigmaSampler>

export type SamplerName = keyof typeof samplers

export function isSamplerName(name: string): name is SamplerName {
  return Object.hasOwn(samplers, name)
}

/** What is sampled from: a network (with its guidance) and the schedule it was trained on. */
export interface SamplingModel extends ModelOptions {
  readonly network: Network
  readonly alphasCumprod: ArrayLike<number>
}

/**
 * Runs a sampler by name over the steps of `samplingPlan`; x is the batch at the first step's level, in the model's own
 * coordinates (unit normals for a start from noise). Yields every step; the last `x` is the result.
 *
 * @example
 * const steps = samplingPlan(alphasCumprod, { steps: 20 })
 * for await (const { x } of sample('ddim', model, start, steps, { noise })) latents = x
 */
export async function* sample(
  name: SamplerName,
  model: SamplingModel,
  x: Float32Array,
  steps: readonly Step[],
  options: SampleOptions,
): AsyncGenerator<SampleStep, void> {
  const sampler: VpSampler | SigmaSampler = samplers[name]
  if ('overSteps' in sampler) yield* sampler.overSteps(predictor(model.network, model), x, steps, options)
  else {
    const levels = steps.map(({ from }) => finite(from.sigma, from.alpha))
    const last = steps.at(-1)!.to
    const sigmas = Float64Array.from([...levels, last.sigma / last.alpha])
    const denoise = denoiser(model.network, timestepOf(model, steps, levels), model)
    yield* sampler.overSigmas(denoise, scale(x, Math.sqrt(levels[0]! ** 2 + 1)), sigmas, options)
  }
}

/** sigma / alpha, where there is no signal the 4096 that diffusers takes for infinity. */
function finite(sigma: number, alpha: number): number {
  return Math.min(sigma / alpha, 4096)
}

/** The planned timestep of a planned level; between them, interpolated in log sigma. */
function timestepOf({ alphasCumprod }: SamplingModel, steps: readonly Step[], levels: readonly number[]) {
  const planned = new Map(steps.map(({ from }, i) => [levels[i]!, from.t]))
  const discrete = discreteSigmas(alphasCumprod)
  return (sigma: number) => planned.get(sigma) ?? discrete.sigmaToT(sigma)
}
