import { mul } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import { unsqueeze } from '../tensor/reshape.js'
import { concat, pad } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { cast, cos, sin } from '../tensor/unary.js'

export interface TimestepOptions {
  /** Longest wavelength over 2 pi. */
  maxPeriod?: number
  /**
   * `guided-diffusion`: [cos, sin], frequencies divided by half (util.py, timestep_embedding), as every UNet here has it.
   * `ddpm`: [sin, cos], divided by half - 1 (model.py, get_timestep_embedding).
   */
  convention?: 'guided-diffusion' | 'ddpm'
}

/** Sinusoids of times: t [batch], whole or fractional, -> [batch, width]. An odd width ends in a zero. */
export function timestepEmbedding(
  t: Tensor,
  width: number,
  { maxPeriod = 10000, convention = 'guided-diffusion' }: TimestepOptions = {},
): Tensor {
  const half = Math.floor(width / 2)
  const divisor = convention === 'ddpm' ? half - 1 : half
  // Rounded at each step, as the reference computes it in f32: at t = 1000 the last bit of a frequency is 6e-5 of a phase.
  const frequencies = Float32Array.from({ length: half }, (_, i) =>
    convention === 'ddpm'
      ? Math.exp(Math.fround(i * -Math.fround(Math.log(maxPeriod) / divisor)))
      : Math.exp(Math.fround(Math.fround(-Math.log(maxPeriod) * i) / divisor)),
  )
  const phases = mul(unsqueeze(cast(t, 'f32'), 1), constant(frequencies, [1, half]))
  const waves = convention === 'ddpm' ? [sin(phases), cos(phases)] : [cos(phases), sin(phases)]
  const embedding = concat(waves, { axis: 1 })
  return width % 2 === 0
    ? embedding
    : pad(embedding, [
        [0, 0],
        [0, 1],
      ])
}
