import { constant } from '../../tensor/constant.js'
import { matmul } from '../../tensor/matmul.js'
import { sum } from '../../tensor/reduce.js'
import { reshape, transpose } from '../../tensor/reshape.js'
import type { Tensor } from '../../tensor/tensor.js'
import { type BilinearAxis, isIdentity, kronecker, type Matrix, once, transposed } from './bilinear-axis.js'

/** A convolution's two spatial axes as bilinear algorithms. */
export interface BilinearConv {
  readonly height: BilinearAxis
  readonly width: BilinearAxis
}

// Images lie as [height, width, batch, channels] in here: every transform along an axis is then one product with a
// constant matrix, and the products of tiles are large matrices over batch and tiles.
const spatialFirst = (x: Tensor): Tensor => transpose(x, [2, 3, 0, 1])
const spatialLast = (y: Tensor): Tensor => transpose(y, [2, 3, 0, 1])

/** Both axes of [h, w, n, c] taken through a matrix each: [rows of height, rows of width, n * c]. */
function transform(x: Tensor, height: Matrix, width: Matrix): Tensor {
  const [h, w, n, c] = x.shape as [number, number, number, number]
  const tall = isIdentity(height) ? x : matmul(asTensor(height), reshape(x, [h, w * n * c]))
  const rows = reshape(tall, [height.rows, w, n * c])
  return isIdentity(width) ? rows : matmul(asTensor(width), rows)
}

/** The way back: width first, which leaves less for the height's product. */
function collapse(x: Tensor, height: Matrix, width: Matrix, [n, c]: readonly [number, number]): Tensor {
  const rows = reshape(x, [height.columns, width.columns, n * c])
  const narrow = isIdentity(width) ? rows : matmul(asTensor(width), rows)
  const flat = reshape(narrow, [height.columns, width.rows * n * c])
  const result = isIdentity(height) ? flat : matmul(asTensor(height), flat)
  return reshape(result, [height.rows, width.rows, n, c])
}

/** The same matrix is the same tensor, wherever it is used. */
const asTensor = once((m: Matrix): Tensor => constant(m.data, [m.rows, m.columns]))
const turned = once(transposed)
const both = once(({ height, width }: BilinearConv): Matrix => kronecker(height.kernel, width.kernel))

/** [points, tiles, points, tiles * n, c] from the transform of an image. */
const inTiles = (v: Tensor, { height, width }: BilinearConv, n: number, c: number): Tensor =>
  reshape(v, [height.points, height.tiles, width.points, width.tiles * n, c])

/** The kernel at the algorithm's points: [out, in, taps, taps] -> [points, 1, points, out, in]. */
function kernelAtPoints(weight: Tensor, conv: BilinearConv): Tensor {
  const { height, width } = conv
  const [out, c, kh, kw] = weight.shape as [number, number, number, number]
  const flat = reshape(weight, [out * c, kh * kw])
  const kernel = both(conv)
  const points = isIdentity(kernel) ? transpose(flat) : matmul(asTensor(kernel), transpose(flat))
  return reshape(points, [height.points, 1, width.points, out, c])
}

const imageTiles = (x: Tensor, conv: BilinearConv): Tensor => {
  const [n, c] = x.shape as [number, number]
  return inTiles(transform(spatialFirst(x), conv.height.input, conv.width.input), conv, n, c)
}

/** What the gradient of the result means for the products of tiles. */
const gradientTiles = (g: Tensor, conv: BilinearConv): Tensor => {
  const [n, out] = g.shape as [number, number]
  const { height, width } = conv
  return inTiles(transform(spatialFirst(g), turned(height.output), turned(width.output)), conv, n, out)
}

/** The convolution of x [n, c, h, w], without bias. */
export function bilinearForward(x: Tensor, weight: Tensor, conv: BilinearConv): Tensor {
  const products = matmul(imageTiles(x, conv), transpose(kernelAtPoints(weight, conv)))
  return spatialLast(collapse(products, conv.height.output, conv.width.output, [x.shape[0]!, weight.shape[0]!]))
}

/** Its gradient with respect to x. */
export function bilinearInputGradient(g: Tensor, weight: Tensor, conv: BilinearConv): Tensor {
  const products = matmul(gradientTiles(g, conv), kernelAtPoints(weight, conv))
  const [height, width] = [turned(conv.height.input), turned(conv.width.input)]
  return spatialLast(collapse(products, height, width, [g.shape[0]!, weight.shape[1]!]))
}

/** Its gradient with respect to weight [out, in, taps, taps]. */
export function bilinearWeightGradient(
  x: Tensor,
  g: Tensor,
  taps: readonly [number, number],
  conv: BilinearConv,
): Tensor {
  const { height, width } = conv
  const [out, c] = [g.shape[1]!, x.shape[1]!]
  const [images, gradients] = [imageTiles(x, conv), gradientTiles(g, conv)]
  const tileRow = images.shape[3]!
  // One product for each row of tiles and a sum of their results, or a copy of all tiles and one product: what moves less.
  const byRows = out * c < tileRow * (out + c)
  const together = (t: Tensor) =>
    reshape(transpose(t, [0, 2, 1, 3, 4]), [height.points, 1, width.points, height.tiles * tileRow, t.shape[4]!])
  const [left, right] = byRows || height.tiles === 1 ? [gradients, images] : [together(gradients), together(images)]
  const atPoints = sum(matmul(transpose(left), right), { axes: 1 })
  const flat = reshape(atPoints, [height.points * width.points, out * c])
  const kernel = both(conv)
  const result = isIdentity(kernel) ? transpose(flat) : matmul(transpose(flat), asTensor(kernel))
  return reshape(result, [out, c, ...taps])
}
