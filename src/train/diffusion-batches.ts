import { captionOf, type Dataset, type Draw, type Draws } from '../data/index.js'
import { cumulativeAlphas, makeBetas, minSnrWeight } from '../diffusion/index.js'
import type { ModelConfig } from '../pipelines/model-config.js'
import { channelValues } from '../pipelines/model-config.js'
import { type HostTensors, hostIntegers, hostTensor } from '../runtime/index.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { Batch } from './fit.js'
import type { Latents } from './latents.js'
import { type Place, shareOf, shareOfDraws } from './share.js'
import { streamOf } from './streams.js'

/** What the inputs of a diffusion program are made from. */
export interface DiffusionSource {
  readonly config: ModelConfig
  readonly dataset: Dataset
  readonly latents: Latents
  readonly tokenizer: Tokenizer | undefined
  readonly minSnrGamma: number | undefined
}

/** Chance of one batch: noise of the latents' size, times, and unit normals by which latents are drawn. */
export interface DiffusionChance {
  readonly noise: Float32Array
  readonly times: ArrayLike<number>
  /** None: the posterior's mean. */
  readonly posterior?: Float32Array
}

/** Makes the inputs of a diffusion program, [batch, ...] each, from pictures, captions and chance. */
export function diffusionInputs(
  source: DiffusionSource,
): (draws: readonly Draw[], captions: readonly string[], chance: DiffusionChance) => HostTensors {
  const { config, latents, tokenizer, minSnrGamma } = source
  const { parameterization, ...schedule } = config.diffusion!
  const bars = cumulativeAlphas(makeBetas(schedule))
  const [channels, height, width] = latents.shape
  const length = channels * height * width
  const scales = channelValues(config.scale_factor, channels)
  const shifts = channelValues(config.shift_factor, channels)
  const contextLength = config.cond_stage_config?.max_seq_len ?? 0

  return (draws, captions, { noise, times, posterior }) => {
    const batch = draws.length
    const x0 = new Float32Array(batch * length)
    for (const [i, draw] of draws.entries()) {
      const from = latents.offset(draw.index, draw.flip < 0.5)
      for (let j = 0; j < length; j++) {
        const c = Math.floor(j / (height * width))
        const spread = posterior ? latents.deviations[from + j]! * posterior[i * length + j]! : 0
        x0[i * length + j] = (latents.means[from + j]! + spread - shifts[c]!) * scales[c]!
      }
    }
    const perSample = (of: (bar: number) => number) => hostTensor(Float32Array.from(times, t => of(bars[t]!)))
    const weight = (bar: number) => (minSnrGamma ? minSnrWeight(bar, minSnrGamma, parameterization) : 1)
    const ids = tokenizer && captions.flatMap(caption => [...tokenizer.encode(caption, contextLength).ids])
    return {
      x0: hostTensor(x0, [batch, ...latents.shape]),
      noise: hostTensor(noise, [batch, ...latents.shape]),
      t: hostIntegers(times),
      alpha: perSample(Math.sqrt),
      sigma: perSample(bar => Math.sqrt(1 - bar)),
      weights: perSample(weight),
      ...(ids && { tokens: hostIntegers(ids, [batch, contextLength]) }),
    }
  }
}

/** Where a run's batches begin, and this process's place among those that train together. */
export interface BatchOptions {
  readonly first: number
  readonly batch: number
  readonly seed: number
  readonly captionDropout: number
  readonly place: Place
}

/** Training batches without end: one caption of each picture, or none by chance. */
export async function* diffusionBatches(
  source: DiffusionSource,
  draws: Draws,
  { first, batch, seed, captionDropout, place }: BatchOptions,
): AsyncGenerator<Batch> {
  const mine = shareOfDraws(draws, place)
  const inputsOf = diffusionInputs(source)
  const { timesteps } = source.config.diffusion!
  const length = source.latents.shape.reduce((a, b) => a * b)
  for (let index = first; ; index++) {
    const drawn = mine.next(batch)
    const dropped = shareOf(place, batch, count => streamOf(seed, 'caption', index).rand(count))
    const captions = drawn.map((draw, i) => (dropped[i]! < captionDropout ? '' : captionOf(source.dataset, draw)))
    const chance = {
      noise: shareOf(place, batch * length, count => streamOf(seed, 'noise', index).randn(count)),
      times: shareOf(place, batch, count => streamOf(seed, 'time', index).randint(0, timesteps, count)),
      posterior: shareOf(place, batch * length, count => streamOf(seed, 'posterior', index).randn(count)),
    }
    yield { inputs: inputsOf(drawn, captions, chance), data: mine.state() }
  }
}
