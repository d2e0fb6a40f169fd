import type { Averaging } from '../runtime/state/optimiser.js'
import { mul, sub } from '../tensor/binary.js'

export interface EmaOptions {
  /** How much of the average stays in an update. */
  readonly decay: number
  /** Begins with a smaller decay, (1 + n) / (10 + n) after n updates, so that the start is soon forgotten. */
  readonly warmup?: boolean
}

/** Exponential moving average of the parameters. Source: CompVis/latent-diffusion, ldm/modules/ema.py, LitEma. */
export function ema({ decay, warmup = true }: EmaOptions): Averaging {
  if (!(decay >= 0 && decay <= 1)) throw new RangeError(`ema: the decay is ${decay}, wanted 0 to 1`)
  return {
    scalars: step => ({ emaRate: 1 - (warmup ? Math.min(decay, (1 + step) / (10 + step)) : decay) }),
    update: (average, parameter, { emaRate }) => sub(average, mul(sub(average, parameter), emaRate!)),
  }
}
