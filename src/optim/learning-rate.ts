/** The factor of the learning rate at a step; steps count from 0. */
export type RateSchedule = (step: number) => number

/** A climb from `start` to `max` in `warmup` steps, then a way down to `min`, `length` steps in all. */
export interface Cycle {
  readonly warmup: number
  readonly length: number
  readonly start: number
  readonly max: number
  readonly min: number
}

/**
 * Cycles of warm-up and half a cosine wave, one after the other; the last one's end holds.
 * Source: CompVis/latent-diffusion, ldm/lr_scheduler.py, LambdaWarmUpCosineScheduler2.
 */
export const cosineCycles = (cycles: readonly Cycle[]): RateSchedule =>
  schedule(cycles, (n, { warmup, length, max, min }) => {
    const t = Math.min((n - warmup) / (length - warmup), 1)
    return min + 0.5 * (max - min) * (1 + Math.cos(t * Math.PI))
  })

/**
 * Cycles of warm-up and a straight line, which reaches `min` at the end as if it had begun at step 0; the last one's end
 * holds. With max = min = 1 it is a warm-up alone. Source: ldm/lr_scheduler.py, LambdaLinearScheduler.
 */
export const linearCycles = (cycles: readonly Cycle[]): RateSchedule =>
  schedule(cycles, (n, { length, max, min }) => min + ((max - min) * Math.max(length - n, 0)) / length)

/**
 * One cycle: `warmup` steps up from almost nothing, then a cosine down to `min` at step `total`.
 *
 * @example
 * const rate = warmupCosine({ warmup: 100, total: 10_000 })
 * const learningRate = 1e-4 * rate(step)
 */
export const warmupCosine = ({
  warmup,
  total,
  min = 0,
}: {
  warmup: number
  total: number
  min?: number
}): RateSchedule => cosineCycles([{ warmup, length: total, start: 1e-6, max: 1, min }])

function schedule(cycles: readonly Cycle[], down: (n: number, cycle: Cycle) => number): RateSchedule {
  for (const { warmup, length } of cycles) {
    if (!(warmup >= 0 && length > warmup)) {
      throw new RangeError(`learning rate: a cycle of ${length} steps has no room for a warm-up of ${warmup}`)
    }
  }
  return step => {
    let begin = 0
    let cycle = cycles[0]!
    for (const next of cycles.slice(1)) {
      // A cycle's last step is the first of the next one's: the original counts it to the earlier.
      if (step <= begin + cycle.length) break
      begin += cycle.length
      cycle = next
    }
    const n = step - begin
    return n < cycle.warmup ? cycle.start + ((cycle.max - cycle.start) / cycle.warmup) * n : down(n, cycle)
  }
}
