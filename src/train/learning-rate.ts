import { linearCycles, warmupCosine } from '../optim/index.js'
import type { TrainingSettings } from './settings.js'

/** The learning rate of each step, counted from 0. */
export function learningRates(settings: TrainingSettings): (step: number) => number {
  const { learning_rate, warm_up: warmup, decay, final_rate: min, steps } = settings
  const factor =
    decay === 'cosine'
      ? warmupCosine({ warmup, total: steps, min })
      : linearCycles([{ warmup, length: warmup + 1, start: 1e-6, max: 1, min: 1 }])
  return step => learning_rate * factor(step)
}
