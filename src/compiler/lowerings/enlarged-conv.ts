import { conv2d } from '../../tensor/conv.js'
import { matmul } from '../../tensor/matmul.js'
import { reshape, transpose } from '../../tensor/reshape.js'
import { sameShape } from '../../tensor/shape.js'
import { concat, slice } from '../../tensor/slice.js'
import type { Tensor } from '../../tensor/tensor.js'
import { kronecker, matrix, transposed } from './bilinear-axis.js'
import { asTensor, isSame3x3 } from './constant-winograd.js'
import { everyRun } from './every-run.js'

/** Whether it is a 3x3 convolution of an image that was made twice as large by copying its pixels. */
export function isEnlarged3x3(t: Tensor): boolean {
  if (!isSame3x3(t)) return false
  const { op, inputs, shape } = t.inputs[0]!
  return (
    op.name === 'resizeNearest' &&
    sameShape(
      shape.slice(-2),
      inputs[0]!.shape.slice(-2).map(n => 2 * n),
    )
  )
}

const parities = [0, 1] as const

/**
 * Of three neighbours in the enlarged image two are copies of one pixel: for even rows the last two, for odd rows the
 * first two. Their taps are added up.
 */
const joined = parities.map(odd => matrix(2, 3, (tap, of) => +((of + 1 - odd) >> 1 === tap)))
/** [9, 16]: the four 2x2 kernels of even and odd rows by even and odd columns. */
const kernels = () =>
  asTensor('enlarged', () => {
    const each = parities.flatMap(row => parities.map(column => kronecker(joined[row]!, joined[column]!)))
    return transposed(matrix(16, 9, (row, tap) => each[row >> 2]!.data[(row & 3) * 9 + tap]!))
  })

/**
 * Enlarging to twice the size and a 3x3 convolution as one: the pixels of the result at even and odd places are 2x2
 * convolutions of the small image each, 16 products in place of 36. What becomes of the weight depends on it alone and is
 * kept, or made in every run.
 */
export function enlargedConv({ inputs, shape }: Tensor, kept: boolean): Tensor {
  const [large, weight, bias] = inputs as [Tensor, Tensor, Tensor?]
  const x = large.inputs[0]!
  const [out, channels] = weight.shape as [number, number]
  const [n, , height, width] = shape as [number, number, number, number]
  const pixels = (out * height * width) / 4
  const taps = matmul(reshape(kept ? weight : everyRun(weight), [out * channels, 9]), kernels())
  const at = (row: number, column: number): Tensor => {
    const start = 4 * (2 * row + column)
    const kernel = reshape(slice(taps, { axis: 1, start, end: start + 4 }), [out, channels, 2, 2])
    return conv2d(x, kernel, bias, { padding: [1 - row, 1 - column, row, column] })
  }
  const rows = parities.map(row => {
    const columns = parities.map(column => reshape(at(row, column), [n, 1, pixels]))
    return reshape(transpose(concat(columns, { axis: 1 })), [n, out, height / 2, 1, width])
  })
  return reshape(concat(rows, { axis: 3 }), shape)
}
