import type { Draw, Draws } from '../../data/index.js'
import { ddpmBuffers, minSnrWeight, modelSchedule } from '../../diffusion/index.js'
import type { ModelConfig } from '../../pipelines/model-config.js'
import { channelValues } from '../../pipelines/model-config.js'
import { type HostTensors, hostIntegers, hostTensor } from '../../runtime/index.js'
import { sizeOf } from '../../tensor/shape.js'
import type { Batch } from '../fit.js'
import type { LatentShape, Latents } from '../latents/contract.js'
import { type Place, shareOf, shareOfDraws } from '../share.js'
import { streamOf } from '../streams.js'
import type { ConditionBatches } from './condition-batches.js'
import type { DiffusionLossSettings } from './recipe.js'

/** What the inputs of a diffusion program are made from. */
export interface DiffusionSource {
  readonly config: ModelConfig
  readonly latents: Latents
  readonly conditions: ConditionBatches
  readonly loss: DiffusionLossSettings
}

/** Chance of one batch: noise of the latents' size, times, and unit normals by which latents are drawn. */
export interface DiffusionChance {
  readonly noise: Float32Array
  readonly times: ArrayLike<number>
  /** None: the posterior's mean. */
  readonly posterior?: Float32Array
}

/** Makes the inputs of a diffusion program, [batch, ...] each, from latents and chance; those of conditions come beside. */
export function diffusionInputs(
  source: Pick<DiffusionSource, 'config' | 'latents' | 'loss'>,
): (draws: readonly Draw[], chance: DiffusionChance) => Promise<HostTensors> {
  const { config, latents, loss } = source
  const diffusion = config.diffusion!
  const { parameterization } = diffusion
  const { alphas, sigmas, alphasCumprod } = modelSchedule(diffusion)
  // The recipe's schema lets flows have neither of the weights.
  const prediction = parameterization === 'flow' ? 'v' : parameterization
  const bound = loss.elbo_weight > 0 ? ddpmBuffers(diffusion, { parameterization: prediction }).lvlbWeights : undefined
  const gamma = loss.min_snr_gamma
  const [channels] = latents.shape
  const scales = channelValues(config.scale_factor, channels)
  const shifts = channelValues(config.shift_factor, channels)

  return async (draws, { noise, times, posterior }) => {
    const batch = draws.length
    const { means, deviations, shape } = await latents.read(draws)
    const [channels, height, width] = shape
    const x0 = means.map((mean, i) => {
      const c = Math.floor(i / (height * width)) % channels
      const spread = posterior ? deviations[i]! * posterior[i]! : 0
      return (mean + spread - shifts[c]!) * scales[c]!
    })
    const perSample = (of: (t: number) => number) => hostTensor(Float32Array.from(times, of))
    return {
      x0: hostTensor(x0, [batch, ...shape]),
      noise: hostTensor(noise, [batch, ...shape]),
      t: hostIntegers(times),
      alpha: perSample(t => alphas[t]!),
      sigma: perSample(t => sigmas[t]!),
      weights: perSample(t => (gamma ? minSnrWeight(alphasCumprod[t]!, gamma, prediction) : 1)),
      ...(bound && { bound: perSample(t => bound[t]!) }),
    }
  }
}

/** Where a run's batches begin, and this process's place among those that train together. */
export interface BatchOptions {
  readonly first: number
  readonly batch: number
  readonly seed: number
  /** Share of the samples that go without their conditions. */
  readonly dropout: number
  readonly place: Place
}

/** Training batches without end, each picture with its conditions or, by chance, without. */
export async function* diffusionBatches(
  source: DiffusionSource,
  draws: Draws,
  { first, batch, seed, dropout, place }: BatchOptions,
): AsyncGenerator<Batch> {
  const mine = shareOfDraws(draws, place)
  const inputsOf = diffusionInputs(source)
  const { timesteps } = source.config.diffusion!
  for (let index = first; ; index++) {
    const drawn = mine.next(batch)
    const shape = source.latents.shapeOf(drawn[0]!.index)
    const length = sizeOf(shape)
    const lots = shareOf(place, batch, count => streamOf(seed, 'caption', index).rand(count))
    const noise = shareOf(place, batch * length, count => streamOf(seed, 'noise', index).randn(count))
    const chance = {
      noise: offset(noise, shape, source.loss.offset_noise, () =>
        shareOf(place, batch * shape[0], count => streamOf(seed, 'offset', index).randn(count)),
      ),
      times: shareOf(place, batch, count => streamOf(seed, 'time', index).randint(0, timesteps, count)),
      posterior: shareOf(place, batch * length, count => streamOf(seed, 'posterior', index).randn(count)),
    }
    const numbered = (index * place.size + place.rank) * batch
    const conditions = await source.conditions(drawn, {
      dropped: i => lots[i]! < dropout,
      random: i => streamOf(seed, 'condition', numbered + i),
    })
    yield { inputs: { ...(await inputsOf(drawn, chance)), ...conditions }, data: mine.state() }
  }
}

/** Noise with some that is the same all over a channel, so that brightness is learned too (Guttenberg 2023, offset noise). */
function offset(noise: Float32Array, shape: LatentShape, share: number, draw: () => Float32Array): Float32Array {
  if (share === 0) return noise
  const [, height, width] = shape
  const drawn = draw()
  return noise.map((value, i) => value + share * drawn[Math.floor(i / (height * width))]!)
}
