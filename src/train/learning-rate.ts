import type { TrainingSettings } from './settings.js'

/** The learning rate of each step, counted from 0: a straight rise from near 0, then as `decay` says. */
export function learningRates(settings: TrainingSettings): (step: number) => number {
  const { learning_rate: peak, warm_up: warmUp, decay, final_rate: final, steps } = settings
  return step => {
    if (step < warmUp) return (peak * (step + 1)) / warmUp
    if (decay === 'constant') return peak
    const progress = Math.min(1, (step - warmUp) / Math.max(1, steps - warmUp))
    return peak * (final + (1 - final) * 0.5 * (1 + Math.cos(Math.PI * progress)))
  }
}
