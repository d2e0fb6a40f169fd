import { LatentkitError } from '../platform/errors.js'
import type { Program } from '../tensor/program.js'
import { show, sizeOf } from '../tensor/shape.js'
import type { Dtype, Tensor } from '../tensor/tensor.js'
import { topological } from '../tensor/walk.js'

/** Bytes that a device can give. */
export interface MemoryLimits {
  /** One buffer at most. */
  readonly buffer: number
  /** All buffers that live at the same time. */
  readonly total: number
}

const bytesOf: Readonly<Record<Dtype, number>> = { f32: 4, f16: 2, i64: 8, bool: 1, i8: 1, i4: 0.5, u4: 0.5 }

/**
 * Holds the largest tensor of a lowered program and the most memory that its tensors take together against limits.
 *
 * @throws LatentkitError that says what would fit.
 */
export function checkFootprint(device: string, program: Program, { buffer, total }: MemoryLimits, batch = 1): void {
  const size = ({ shape, dtype }: Tensor): number => {
    const elements = sizeOf(shape)
    return bytesOf[dtype] * (elements < 0 ? -elements * batch : elements)
  }
  const order = topological(Object.values(program.outputs))
  const largest = order.reduce((a, b) => (size(b) > size(a) ? b : a))
  if (size(largest) > buffer) {
    throw new LatentkitError(
      `Cannot run the program on ${device}: its largest tensor, ${largest.op.name} ${show(largest.shape)}, takes ${mebibytes(size(largest))}, ` +
        `a buffer of this adapter holds ${mebibytes(buffer)}. ${whatFits(buffer / size(largest), largest, batch)}`,
    )
  }
  const peak = peakBytes(order, Object.values(program.outputs), size)
  if (peak > total) {
    throw new LatentkitError(
      `Cannot run the program on ${device}: its tensors take ${mebibytes(peak)} together, there are ${mebibytes(total)}. ` +
        whatFits(total / peak, largest, batch),
    )
  }
}

/** The most bytes that are alive at the same time; parameters and inputs live all the time. */
function peakBytes(order: readonly Tensor[], outputs: readonly Tensor[], size: (t: Tensor) => number): number {
  const lastUse = new Map<Tensor, Tensor>()
  for (const node of order) for (const input of node.inputs) lastUse.set(input, node)
  for (const output of outputs) lastUse.delete(output)
  let alive = 0
  let peak = 0
  for (const node of order) {
    alive += size(node)
    peak = Math.max(peak, alive)
    for (const input of new Set(node.inputs)) {
      if (input.inputs.length > 0 && lastUse.get(input) === node) alive -= size(input)
    }
  }
  return peak
}

function whatFits(part: number, { shape }: Tensor, batch: number): string {
  const rows = (shape[0] ?? 1) < 0 ? batch : (shape[0] ?? 1)
  const fitting = Math.floor(rows * part)
  const smaller =
    fitting >= 1 ? `A batch of ${fitting} instead of ${rows} would fit` : `${Math.floor(part * 100)}% of it would fit`
  return `${smaller}: make the batch or the picture smaller, or use the device "cpu"`
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`
