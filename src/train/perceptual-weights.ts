import { openLpips, openSqueezenet } from '../perceptual/weights.js'
import type { WeightSource } from '../runtime/index.js'
import type { FirstStageLoss } from './first-stage-loss.js'

/** Opens the weights of the network by which a loss looks at pictures, by the names of its programs. */
export async function openPerceptual(loss: FirstStageLoss): Promise<WeightSource & AsyncDisposable> {
  const { perceptual_loss, perceptual_weight, perceptual_weights } = loss
  const named = (source: WeightSource, close: () => Promise<void> = async () => {}) => ({
    get: (name: string) => (name.startsWith(prefix) ? source.get(name.slice(prefix.length)) : undefined),
    [Symbol.asyncDispose]: close,
  })
  if (perceptual_weight === 0) return named(new Map())
  if (perceptual_loss !== 'squeezenet') return named(await openLpips(perceptual_weights))
  const file = await openSqueezenet()
  return named(file.tensors, () => file.close())
}

const prefix = 'perceptual.'
