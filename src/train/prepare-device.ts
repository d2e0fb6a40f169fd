import { checkHalf, type Device } from '../runtime/index.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import type { TrainEvent } from './events.js'
import { progressSchema } from './progress.js'
import type { TrainingSettings } from './settings.js'

/**
 * Sees to it that a device can compute what a run asks for, and has it compile what a run that goes on began with, whatever
 * `latentkit tune` found since, so that it stays the same to the bit; says so where that differs. Another run takes the
 * device's own choices.
 *
 * @throws LatentkitError where the device has no float16 and the run wants it.
 */
export async function* prepareDevice(
  device: Device,
  { precision }: TrainingSettings,
  resume: Checkpoint | undefined,
): AsyncGenerator<TrainEvent> {
  if (precision === 'mixed') await checkHalf(device)
  device.useTuned(undefined)
  const progress = progressSchema.safeParse(resume?.training?.values)
  const before = progress.data?.tuned
  if (before === undefined || sameChoices(before, device.tuned)) return
  device.useTuned(before)
  const { step } = progress.data!
  const message =
    'What was tuned on this machine differs from what the run began with: it goes on with what it began with, so that it ' +
    'stays the same to the bit. A new run, begun with --from, takes the new choices'
  yield { type: 'warning', step, total: 0, message }
}

const sameChoices = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean =>
  [...Object.keys(a), ...Object.keys(b)].every(use => a[use] === b[use])
