import { constant } from './constant.js'
import { expandTo, reshape, unsqueeze } from './reshape.js'
import { resized, type Shape, show } from './shape.js'
import { concat, pad, slice } from './slice.js'
import type { Tensor } from './tensor.js'
import { addAll } from './unary.js'

/** One number for both spatial axes, or [height, width]. */
export type Pair = number | readonly [number, number]
/** One number for all sides, or [top, left, bottom, right], as ONNX orders them. */
export type Padding = number | readonly [number, number, number, number]

/** How a window moves over the last two axes of an image. */
export type Window = {
  readonly stride: readonly [number, number]
  readonly padding: readonly [number, number, number, number]
  readonly dilation: readonly [number, number]
}

export const pair = (x: Pair): readonly [number, number] => (typeof x === 'number' ? [x, x] : x)

/** A window with every number written out, checked. */
export function windowOf(
  op: string,
  { stride = 1, padding = 0, dilation = 1 }: { stride?: Pair; padding?: Padding; dilation?: Pair },
): Window {
  const window: Window = {
    stride: pair(stride),
    padding: typeof padding === 'number' ? [padding, padding, padding, padding] : padding,
    dilation: pair(dilation),
  }
  const wrong = Object.entries(window).find(([name, numbers]) =>
    numbers.some(n => !Number.isInteger(n) || n < (name === 'padding' ? 0 : 1)),
  )
  if (wrong) {
    const [name, numbers] = wrong
    throw new RangeError(`${op}: ${name} [${numbers}]: wanted whole numbers from ${name === 'padding' ? 0 : 1} up`)
  }
  return window
}

/** Height and width of what a window of `kernel` leaves of an image. */
export function windowedSize(
  op: string,
  x: Shape,
  kernel: readonly [number, number],
  window: Window,
): [number, number] {
  return [0, 1].map(axis => {
    const size = x[axis + 2]!
    const padded = size + window.padding[axis]! + window.padding[axis + 2]!
    const extent = window.dilation[axis]! * (kernel[axis]! - 1) + 1
    if (size < 0 || extent > padded) {
      throw new RangeError(
        `${op}: a window of ${show(kernel)} with dilation ${show(window.dilation)} does not fit into ${show(x)} with padding ${show(window.padding)}: wanted at least ${extent} in axis ${axis + 2}, which must not be open`,
      )
    }
    return Math.floor((padded - extent) / window.stride[axis]!) + 1
  }) as [number, number]
}

/** What the tap (i, j) of the kernel sees of a padded image, at every place of the window: [n, c, ...size]. */
export const tapOf = (
  padded: Tensor,
  i: number,
  j: number,
  size: readonly number[],
  { stride, dilation }: Window,
): Tensor =>
  [i * dilation[0], j * dilation[1]].reduce(
    (x, start, k) => slice(x, { axis: k + 2, start, step: stride[k]!, end: start + (size[k]! - 1) * stride[k]! + 1 }),
    padded,
  )

/**
 * The sum of what taps 0, 1, ... took along an axis of `size`, one place every `step`, back at their places. Places that
 * are the same modulo `step` are summed first, at the size of a tap; interleaving them writes the full size once.
 */
export function untapAlong(
  parts: readonly Tensor[],
  { axis, size, step }: { axis: number; size: number; step: number },
): Tensor {
  const rank = parts[0]!.shape.length
  const length = Math.ceil(size / step)
  const phases = Array.from({ length: step }, (_, phase) => {
    const shifted = parts
      .filter((_, tap) => tap % step === phase)
      .map((part, shift) => {
        const after = length - shift - part.shape[axis]!
        return pad(
          part,
          [...Array(rank).keys()].map((i): [number, number] => (i === axis ? [shift, after] : [0, 0])),
        )
      })
    return shifted.length > 0
      ? addAll(shifted)
      : expandTo(constant(0, [], parts[0]!.dtype), resized(parts[0]!.shape, axis, length))
  })
  const apart = concat(
    phases.map(phase => unsqueeze(phase, axis + 1)),
    { axis: axis + 1 },
  )
  const together = reshape(apart, resized(phases[0]!.shape, axis, length * step))
  return slice(together, { axis, end: size })
}

/** Widths for pad() that put a window's padding around an image. */
export const paddingWidths = ({ padding: [top, left, bottom, right] }: Window): [number, number][] => [
  [0, 0],
  [0, 0],
  [top, bottom],
  [left, right],
]

/** Takes a window's padding off an image again. */
export const unpad = (x: Tensor, shape: Shape, { padding: [top, left] }: Window): Tensor =>
  slice(slice(x, { axis: 2, start: top, end: top + shape[2]! }), { axis: 3, start: left, end: left + shape[3]! })
