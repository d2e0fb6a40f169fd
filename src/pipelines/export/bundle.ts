import type { Checkpoint, CheckpointContents } from '../../weights/checkpoint.js'
import { recoded } from '../../weights/recode.js'
import { checkpointModel } from '../loading/checkpoint-model.js'

/**
 * A model as it is handed out: the weights that generate (the averages, where training kept some) as float16, without
 * the state that training needs.
 *
 * @throws FileError where the checkpoint holds no whole model, or a weight beyond float16's range.
 */
export function bundle(checkpoint: Checkpoint, licences: string): CheckpointContents {
  checkpointModel(checkpoint)
  const weights = new Map([...checkpoint.weights].map(([name, tensor]) => [name, recoded(name, tensor, 'F16')]))
  const { info, training } = checkpoint
  const step = training?.values.step
  const recipe = { ...info.recipe, ...(typeof step === 'number' && { trained_steps: step }) }
  return { info: { ...info, recipe, licences }, weights }
}
