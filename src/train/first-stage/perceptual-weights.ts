import { lpips } from '../../perceptual/lpips.js'
import { openLpips, openSqueezenet } from '../../perceptual/weights.js'
import type { WeightSource } from '../../runtime/index.js'
import { trace } from '../../tensor/program.js'
import { f32 } from '../../tensor/tensor.js'
import { expectTensors } from '../../weights/expect-tensors.js'
import type { FirstStageLoss } from './loss.js'

/**
 * Opens the weights of the network by which a loss looks at pictures, by the names of its programs.
 *
 * Throws FileError where files cannot be read or are not those of the network that the loss names.
 */
export async function openPerceptual(loss: FirstStageLoss): Promise<WeightSource & AsyncDisposable> {
  const { perceptual_loss: network, perceptual_weight, perceptual_weights: files } = loss
  const named = (source: WeightSource, close: () => Promise<void> = async () => {}) => ({
    get: (name: string) => (name.startsWith(prefix) ? source.get(name.slice(prefix.length)) : undefined),
    [Symbol.asyncDispose]: close,
  })
  if (perceptual_weight === 0) return named(new Map())
  if (network === 'squeezenet') {
    const file = await openSqueezenet()
    return named(file.tensors, () => file.close())
  }
  const tensors = await openLpips(files)
  const images = f32(1, 3, 64, 64)
  const { parameters } = trace({ a: images, b: images }, (at, { a, b }) => lpips(at, a, b, { network }))
  const wanted = new Map(parameters.map(({ name, shape }) => [name, shape]))
  expectTensors({ name: files.join(', '), tensors }, wanted, { what: `LPIPS over ${network}` })
  return named(tensors)
}

const prefix = 'perceptual.'
