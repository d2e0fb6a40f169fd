import { linspace, roundHalfEven } from '../linspace.js'
import type { SchedulerConfig } from './config.js'

/**
 * How a family of schedulers picks its timesteps: `whole` ones (DDIM, DDPM, PNDM), `fractional` ones (Euler and its kin),
 * or whole ones of which the first is left out, since a last step to zero follows (`solver`: DPM-Solver and its kin).
 */
export type Spacing = 'whole' | 'fractional' | 'solver'

/**
 * Falling timesteps of diffusers' `timestep_spacing`; `last` is one past the highest.
 *
 * Throws RangeError where there are more steps than timesteps.
 * Source: set_timesteps of the schedulers (Lin et al. 2023, table 2).
 */
export function spacedTimesteps(
  config: SchedulerConfig,
  steps: number,
  spacing: Spacing,
  last = config.num_train_timesteps,
): number[] {
  const { num_train_timesteps: train, timestep_spacing, steps_offset } = config
  if (!Number.isInteger(steps) || steps < 1 || steps > train) {
    throw new RangeError(`Cannot sample in ${steps} steps: this model has ${train} timesteps, choose 1 to ${train}`)
  }
  const extra = spacing === 'solver' ? 1 : 0
  switch (timestep_spacing) {
    case 'linspace': {
      const rising = Array.from(linspace(0, last - 1, steps + extra))
      const points = rising.reverse().slice(0, steps)
      return points.map(spacing === 'fractional' ? Math.fround : roundHalfEven)
    }
    case 'leading': {
      const stride = Math.floor(last / (steps + extra))
      return Array.from({ length: steps }, (_, i) => (steps + extra - 1 - i) * stride + steps_offset)
    }
    case 'trailing':
      return arangeDown(last, train / steps).map(t => roundHalfEven(t) - 1)
  }
}

/** numpy's `arange(start, 0, -step)`: its length and values come from rounded doubles, and so does a value too many. */
function arangeDown(start: number, step: number): number[] {
  const delta = start - step - start
  return Array.from({ length: Math.ceil(start / step) }, (_, i) => start + i * delta)
}
