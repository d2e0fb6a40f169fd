import { combine, discreteSigmas, type Level, type Parameterization } from '../../diffusion/index.js'
import { hostTensor } from '../../runtime/index.js'
import { levelOfSigma, type Network, samplingNetwork } from '../../samplers/index.js'
import type { BatchConditions } from './conditions.js'
import type { Guidance } from './guidance/contract.js'
import type { Batch, Stage } from './stage.js'
import type { Told } from './told.js'

/** The network of a batch with all that guides it, as samplers ask it: its calls are counted for what it is told. */
export async function guidedNetwork(
  stage: Stage,
  batch: Batch,
  { conditions, guidances }: GuidedOptions,
): Promise<{ network: Network; parameterization: Parameterization }> {
  const denoise = await stage.parts.get('denoiser')
  const { parameterization: prediction, timesteps } = stage.model.config.diffusion!
  const [, ...one] = batch.shape
  let calls = 0
  const levelAt = levels(stage.model.alphasCumprod)
  const knowing = ({ inputs }: Told) => {
    const ask: Network = async (x, t) => {
      const rows = x.length / (one[0] * one[1] * one[2])
      const given = { x: hostTensor(x, [rows, ...one]), t: hostTensor(new Float32Array(rows).fill(t)), ...inputs }
      return (await denoise(given, { signal: stage.signal })).prediction!.data as Float32Array
    }
    return samplingNetwork(ask, prediction, timesteps)
  }
  return {
    parameterization: knowing(conditions.at(0)).parameterization,
    async network(x, t) {
      const told = conditions.at(calls++)
      const { weights, negative } = told
      const { network, parameterization } = knowing(told)
      const raw = await network(repeated(x, weights.length + (negative ? 1 : 0)), t)
      const part = (i: number) => raw.subarray(i * x.length, (i + 1) * x.length)
      const unconditional = negative ? part(weights.length) : undefined
      const parts = weights.map((weight, i) => ({ weight, prediction: part(i) }))
      const conditional = together(parts, unconditional)
      const asked = { x, t, level: levelAt(t), parameterization, shape: batch.shape, told }
      let led = conditional
      for (const { lead } of guidances) led = await lead({ ...asked, conditional, unconditional, led })
      return led
    },
  }
}

interface GuidedOptions {
  readonly conditions: BatchConditions
  readonly guidances: readonly Guidance[]
}

/**
 * Predictions under several conditions as one: each leads away from the unconditional one by its weight (Liu et al. 2022,
 * "Compositional visual generation with composable diffusion models", eq. 11), which is there unless one alone counts in full.
 */
function together(
  parts: readonly { weight: number; prediction: Float32Array }[],
  unconditional: Float32Array | undefined,
): Float32Array {
  const [first, ...others] = parts
  if (unconditional === undefined || (others.length === 0 && first!.weight === 1)) return first!.prediction
  const sum = parts.reduce((sum, { weight }) => sum + weight, 0)
  const none = combine(1 - sum, unconditional, 0, unconditional)
  return parts.reduce((all, { weight, prediction }) => combine(1, all, weight, prediction), none)
}

/** Levels of whole and fractional timesteps; where the schedule ends without signal, as it does. */
function levels(alphasCumprod: Float64Array): (t: number) => Level {
  const { tToSigma } = discreteSigmas(alphasCumprod)
  return t => {
    const bar = alphasCumprod[t]
    return bar === undefined ? levelOfSigma(tToSigma(t)) : { alpha: Math.sqrt(bar), sigma: Math.sqrt(1 - bar) }
  }
}

function repeated(x: Float32Array, times: number): Float32Array {
  if (times === 1) return x
  const out = new Float32Array(x.length * times)
  for (let i = 0; i < times; i++) out.set(x, i * x.length)
  return out
}
