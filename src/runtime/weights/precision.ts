import type { Parameter } from '../../tensor/program.js'
import { sizeOf } from '../../tensor/shape.js'
import type { BlockForm } from '../../weights/blocks.js'
import type { WeightForm } from './forms.js'
import { blockSize } from './quantise.js'

/** How the weights of a network can be held: in so many bits, or (`file`) in float16 and GGUF's blocks as they are stored. */
export const weightPrecisions = ['f32', 'f16', 'int8', 'int4', 'file'] as const
/** One of them. */
export type WeightPrecision = (typeof weightPrecisions)[number]

/** A parameter's weight, as it is stored. */
export interface StoredWeight {
  readonly parameter: Parameter
  /** Whether it is stored as float16. */
  readonly half: boolean
  /** The form of the blocks in which it is stored. */
  readonly blocks?: BlockForm | undefined
}

/** Weights of fewer numbers take no room that counts: norms, biases, what time and labels become. */
const few = 2 ** 14

/**
 * The share of a network's numbers, the smallest weights first, that keeps 16 bits where the rest has fewer, and the share
 * that keeps 8 where the rest has 4. A small weight matters as much as one of many more numbers, and those between the
 * levels of a UNet, which nothing bypasses, more.
 */
const keeps = { half: 0.25, byte: 0.4 }

const signed8: BlockForm = { bits: 8, size: blockSize, offset: false }
const signed4: BlockForm = { bits: 4, size: blockSize, offset: false }

const isLarge = ({ parameter: { shape, dtype } }: StoredWeight): boolean =>
  dtype === 'f32' && shape.length >= 2 && sizeOf(shape) >= few

/**
 * The form of each weight of a network under a precision, by its name. Blocks of no more bits stay as they are stored.
 *
 * @throws RangeError where there is no such precision.
 */
export function formsUnder(precision: WeightPrecision, weights: readonly StoredWeight[]): Map<string, WeightForm> {
  if (!weightPrecisions.includes(precision))
    throw new RangeError(`Weights cannot be held as "${precision}": wanted is one of ${weightPrecisions.join(', ')}`)
  const large = weights.filter(isLarge).map(({ parameter }) => sizeOf(parameter.shape))
  const limits = { half: largestWithin(large, keeps.half), byte: largestWithin(large, keeps.byte) }
  return new Map(
    weights.map(weight => {
      const { parameter, half, blocks } = weight
      const plain: WeightForm = half && parameter.dtype === 'f32' ? 'f16' : 'f32'
      const wanted = isLarge(weight) ? (wantedForm(precision, parameter, limits) ?? plain) : plain
      const kept = precision !== 'f32' && blocks !== undefined && blocks.bits <= bitsOf(wanted)
      return [parameter.name, kept ? blocks : wanted]
    }),
  )
}

function wantedForm(
  precision: WeightPrecision,
  { shape }: Parameter,
  limits: Readonly<typeof keeps>,
): WeightForm | undefined {
  if (precision === 'f32' || precision === 'file') return undefined
  const size = sizeOf(shape)
  if (precision === 'f16' || size <= limits.half || size % blockSize !== 0) return 'f16'
  // With convolutions in 4 bits as well, Stable Diffusion's UNet is off by a fifth.
  return precision === 'int4' && size > limits.byte && shape.length === 2 ? signed4 : signed8
}

const bitsOf = (form: WeightForm): number => (form === 'f32' ? 32 : form === 'f16' ? 16 : form.bits)

/** The largest size whose weights, with all smaller ones, have at most a share of the numbers; 0 where there is none. */
function largestWithin(sizes: readonly number[], share: number): number {
  const most = sizes.reduce((sum, size) => sum + size, 0) * share
  let [largest, sum] = [0, 0]
  for (const size of new Set([...sizes].sort((a, b) => a - b))) {
    sum += size * sizes.filter(other => other === size).length
    if (sum > most) break
    largest = size
  }
  return largest
}
