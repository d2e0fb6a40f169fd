import { FileError } from '../platform/errors.js'
import type { Checkpoint, CheckpointContents } from '../weights/checkpoint.js'
import { fromFloat32, toFloat32 } from '../weights/dtypes.js'
import type { TensorToWrite } from '../weights/safetensors.js'
import { checkpointModel } from './checkpoint-model.js'

/**
 * A model as it is handed out: the weights that generate (the averages, where training kept some) as float16, without
 * the state that training needs.
 *
 * @throws FileError where the checkpoint holds no whole model, or a weight beyond float16's range.
 */
export function bundle(checkpoint: Checkpoint, licences: string): CheckpointContents {
  checkpointModel(checkpoint)
  const weights = new Map<string, TensorToWrite>()
  for (const [name, { shape }] of checkpoint.weights) {
    const bytes = async () => {
      const half = fromFloat32(toFloat32(await checkpoint.read(name)), shape, 'F16')
      if (!toFloat32(half).every(Number.isFinite))
        throw new FileError(
          checkpoint.name,
          `"${name}" holds numbers that float16 cannot: it is damaged or has diverged`,
        )
      return half.bytes
    }
    weights.set(name, { dtype: 'F16', shape, bytes })
  }
  const { info, training } = checkpoint
  const step = training?.values.step
  const recipe = { ...info.recipe, ...(typeof step === 'number' && { trained_steps: step }) }
  return { info: { ...info, recipe, licences }, weights }
}
