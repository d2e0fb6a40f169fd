import { constant } from '../../tensor/constant.js'
import type { ConvAttributes } from '../../tensor/conv.js'
import { gather } from '../../tensor/gather.js'
import { matmul } from '../../tensor/matmul.js'
import { sum } from '../../tensor/reduce.js'
import { reshape, transpose } from '../../tensor/reshape.js'
import type { Shape } from '../../tensor/shape.js'
import { concat, pad } from '../../tensor/slice.js'
import type { Tensor } from '../../tensor/tensor.js'
import { paddingWidths } from '../../tensor/window.js'

// Images lie as [batch, channels, pixels] in here, as the runtime's own convolution has them.
const flat = (x: Tensor): Tensor => reshape(x, [x.shape[0]!, x.shape[1]!, x.shape[2]! * x.shape[3]!])

/** Products over the pixels of each image, summed over the images. */
const overPixels = (g: Tensor, x: Tensor): Tensor => sum(matmul(g, x, { transposeB: true }), { axes: 0 })

/** [out, channels] of a 1x1 weight. */
const matrixOf = (weight: Tensor): Tensor => reshape(weight, weight.shape.slice(0, 2))

/** A 1x1 convolution at stride 1, without padding or bias. */
export const pointwiseForward = (x: Tensor, weight: Tensor): Tensor =>
  reshape(matmul(matrixOf(weight), flat(x)), [x.shape[0]!, weight.shape[0]!, ...x.shape.slice(2)])

/** Its gradient with respect to the images. */
export const pointwiseInputGradient = (g: Tensor, weight: Tensor): Tensor =>
  reshape(matmul(transpose(matrixOf(weight)), flat(g)), [g.shape[0]!, weight.shape[1]!, ...g.shape.slice(2)])

/** Its gradient with respect to the weight. */
export const pointwiseWeightGradient = (x: Tensor, g: Tensor): Tensor =>
  reshape(overPixels(flat(g), flat(x)), [g.shape[1]!, x.shape[1]!, 1, 1])

/**
 * The gradient of a convolution's weight at horizontal stride 1 as one product: the rows that each row of the kernel
 * sees, by the gradient as each column of the kernel sees it. So nothing is copied for every place of the kernel.
 */
export function weightGradientByRows(x: Tensor, g: Tensor, weightShape: Shape, attributes: ConvAttributes): Tensor {
  const [o, c, kh, kw] = weightShape as [number, number, number, number]
  const { stride, dilation } = attributes
  const [n, , oh, ow] = g.shape as [number, number, number, number]
  const padded = pad(x, paddingWidths(attributes))
  const width = padded.shape[3]!
  const seen = Array.from({ length: kh * oh }, (_, k) => (k % oh) * stride[0] + Math.floor(k / oh) * dilation[0])
  const rows = gather(padded, constant(seen, [kh * oh], 'i64'), { axis: 2 })
  const columns = Array.from({ length: kw }, (_, tap) => {
    const before = tap * dilation[1]
    return pad(g, [...untouched, [before, width - ow - before]])
  })
  const products = overPixels(
    reshape(concat(columns, { axis: 1 }), [n, kw * o, oh * width]),
    reshape(rows, [n, c * kh, oh * width]),
  )
  return reshape(transpose(reshape(products, [kw, o, c, kh]), [1, 2, 3, 0]), weightShape)
}

const untouched: [number, number][] = [
  [0, 0],
  [0, 0],
  [0, 0],
]
