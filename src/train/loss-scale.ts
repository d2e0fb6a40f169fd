import type { HostTensors, TrainingState, TrainingStep, UpdateOptions } from '../runtime/index.js'

/** Where the scale of losses stands: its value, and updates since it was changed. */
export interface LossScale {
  readonly value: number
  readonly updates: number
}

/** Updates without an overflow after which the scale is doubled, and where that ends. */
const patience = 2000
const largest = 2 ** 24

/**
 * A step in mixed precision: gradients that overflow in float16 are computed again of a loss scaled half as much, until
 * they are finite or the scale is 1; after many that are finite the scale is doubled. Source: torch.amp.GradScaler, which
 * leaves such a step out instead.
 */
export function lossScaled(
  state: Pick<TrainingState, 'lossScale' | 'update'>,
  step: Pick<TrainingStep, 'accumulate'>,
  from: LossScale | undefined,
) {
  let updates = from?.updates ?? 0
  if (from) state.lossScale = from.value
  let given: { readonly inputs: HostTensors; readonly scale: number }[] = []
  return {
    get lossScale(): LossScale {
      return { value: state.lossScale, updates }
    },
    async accumulate(inputs: HostTensors, { scale }: { scale: number }): Promise<HostTensors> {
      given.push({ inputs, scale })
      return step.accumulate(inputs, { scale })
    },
    async update(options: UpdateOptions): Promise<{ gradientNorm: number }> {
      let result = await state.update(options)
      while (!Number.isFinite(result.gradientNorm) && state.lossScale > 1) {
        state.lossScale /= 2
        updates = 0
        for (const { inputs, scale } of given) await step.accumulate(inputs, { scale })
        result = await state.update(options)
      }
      given = []
      if (++updates === patience) {
        state.lossScale = Math.min(largest, 2 * state.lossScale)
        updates = 0
      }
      return result
    },
  }
}
