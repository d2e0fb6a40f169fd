import { constant } from '../../tensor/constant.js'
import { gather } from '../../tensor/gather.js'
import { matmul } from '../../tensor/matmul.js'
import { sum } from '../../tensor/reduce.js'
import { reshape, transpose } from '../../tensor/reshape.js'
import type { Tensor } from '../../tensor/tensor.js'
import {
  type BilinearAxis,
  isIdentity,
  kronecker,
  type Matrix,
  once,
  reversedColumns,
  transposed,
} from './bilinear-axis.js'

/** A convolution's two spatial axes as bilinear algorithms. */
export interface BilinearConv {
  readonly height: BilinearAxis
  readonly width: BilinearAxis
}

// Images lie as [height, width, batch, channels] in here: every transform along an axis is then one product with a
// constant matrix, and the products of tiles are large matrices over batch and tiles.
const spatialFirst = (x: Tensor): Tensor => transpose(x, [2, 3, 0, 1])
const spatialLast = (y: Tensor): Tensor => transpose(y, [2, 3, 0, 1])

/** The same matrices are the same tensor, wherever they are used. */
const asTensor = once((m: Matrix): Tensor => constant(m.data, [m.rows, m.columns]))
const asTensors = once((blocks: readonly Matrix[]): Tensor => {
  const { rows, columns } = blocks[0]!
  return blocks.length === 1
    ? asTensor(blocks[0]!)
    : constant(
        blocks.flatMap(m => [...m.data]),
        [blocks.length, rows, columns],
      )
})
const turned = once(transposed)
const kernelMatrix = once(({ height, width }: BilinearConv): Matrix => kronecker(height.kernel, width.kernel))
const reversedKernelMatrix = once((conv: BilinearConv): Matrix => reversedColumns(kernelMatrix(conv)))

/** [..., pixels, rest] -> [..., blocks, pixels of a block, rest], blocks overlapping. */
function inBlocks(x: Tensor, { blocks, from, input }: BilinearAxis): Tensor {
  if (blocks === 1) return x
  const seen = input[0]!.columns
  const indices = from.flatMap(first => Array.from({ length: seen }, (_, i) => first + i))
  const rows = gather(x, constant(indices, [indices.length], 'i64'), { axis: -2 })
  return reshape(rows, [...x.shape.slice(0, -2), blocks, seen, x.shape.at(-1)!])
}

/** Images [h, w, n, c] at the algorithm's points: [blocks, points, tiles, blocks, points, tiles * n, c]. */
function imageTiles(x: Tensor, { height, width }: BilinearConv): Tensor {
  const [h, w, n, c] = x.shape as [number, number, number, number]
  const along = (t: Tensor, axis: BilinearAxis): Tensor =>
    axis.blocks === 1 && isIdentity(axis.input[0]!) ? t : matmul(asTensors(axis.input), inBlocks(t, axis))
  const tall = along(reshape(x, [h, w * n * c]), height)
  const both = along(reshape(tall, [height.blocks * height.points * height.tiles, w, n * c]), width)
  return reshape(both, tileShape({ height, width }, n, c))
}

/** What the gradient [h, w, n, c] of the result means for the products of tiles, in the same shape. */
function gradientTiles(g: Tensor, { height, width }: BilinearConv): Tensor {
  const [, w, n, c] = g.shape as [number, number, number, number]
  const along = (t: Tensor, axis: BilinearAxis): Tensor =>
    isIdentity(axis.output) ? t : matmul(asTensor(turned(axis.output)), t)
  const tall = along(reshape(g, [height.blocks, height.output.rows, w * n * c]), height)
  const rows = height.blocks * height.points * height.tiles
  const both = along(reshape(tall, [rows, width.blocks, width.output.rows, n * c]), width)
  return reshape(both, tileShape({ height, width }, n, c))
}

const tileShape = ({ height, width }: BilinearConv, n: number, c: number): number[] => [
  height.blocks,
  height.points,
  height.tiles,
  width.blocks,
  width.points,
  width.tiles * n,
  c,
]

/** The products of tiles added up to images [h, w, n, c]: width first, which leaves less for the height's product. */
function collapse(products: Tensor, { height, width }: BilinearConv, n: number): Tensor {
  const c = products.shape.at(-1)!
  const along = (t: Tensor, axis: BilinearAxis): Tensor =>
    isIdentity(axis.output) ? t : matmul(asTensor(axis.output), t)
  const rows = height.blocks * height.points * height.tiles
  const columns = width.points * width.tiles
  const narrow = along(reshape(products, [rows, width.blocks, columns, n * c]), width)
  const w = width.blocks * width.output.rows
  const both = along(reshape(narrow, [height.blocks, rows / height.blocks, w * n * c]), height)
  return reshape(both, [height.blocks * height.output.rows, w, n, c])
}

/** The kernel at the algorithm's points: [out, in, taps, taps] -> [1, points, 1, 1, points, out, in]. */
function kernelTiles(weight: Tensor, { height, width }: BilinearConv, kernel: Matrix): Tensor {
  const [out, c, kh, kw] = weight.shape as [number, number, number, number]
  const flat = reshape(weight, [out * c, kh * kw])
  const points = isIdentity(kernel) ? transpose(flat) : matmul(asTensor(kernel), transpose(flat))
  return reshape(points, [1, height.points, 1, 1, width.points, out, c])
}

/** The convolution of x [n, c, h, w], without bias. */
export function bilinearForward(x: Tensor, weight: Tensor, conv: BilinearConv): Tensor {
  const kernel = kernelTiles(weight, conv, kernelMatrix(conv))
  const products = matmul(imageTiles(spatialFirst(x), conv), transpose(kernel, [0, 1, 2, 3, 4, 6, 5]))
  return spatialLast(collapse(products, conv, x.shape[0]!))
}

/** Its gradient with respect to x at stride 1: a convolution of the gradient with the kernel reversed, by `conv`. */
export function bilinearReversed(g: Tensor, weight: Tensor, conv: BilinearConv): Tensor {
  const kernel = kernelTiles(weight, conv, reversedKernelMatrix(conv))
  return spatialLast(collapse(matmul(imageTiles(spatialFirst(g), conv), kernel), conv, g.shape[0]!))
}

/** Its gradient with respect to x [n, c, h, w] at any stride: every step the other way. One block an axis. */
export function bilinearInputGradient(g: Tensor, weight: Tensor, conv: BilinearConv): Tensor {
  const products = matmul(gradientTiles(spatialFirst(g), conv), kernelTiles(weight, conv, kernelMatrix(conv)))
  const back = (axis: BilinearAxis): BilinearAxis => ({ ...axis, output: turned(axis.input[0]!) })
  return spatialLast(collapse(products, { height: back(conv.height), width: back(conv.width) }, g.shape[0]!))
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
  const [images, gradients] = [imageTiles(spatialFirst(x), conv), gradientTiles(spatialFirst(g), conv)]
  const tileRow = images.shape[5]!
  const rows = height.blocks * height.tiles * width.blocks
  // One product for each row of tiles and a sum of their results, or a copy of all tiles and one product: what moves less.
  const byRows = rows === 1 || out * c < tileRow * (out + c)
  const together = (t: Tensor) =>
    reshape(transpose(t, [1, 4, 0, 2, 3, 5, 6]), [1, height.points, 1, 1, width.points, rows * tileRow, t.shape[6]!])
  const [left, right] = byRows ? [gradients, images] : [together(gradients), together(images)]
  const atPoints = sum(sum(matmul(transpose(left, [0, 1, 2, 3, 4, 6, 5]), right), { axes: 0 }), { axes: [1, 2] })
  const flat = reshape(atPoints, [height.points * width.points, out * c])
  const kernel = kernelMatrix(conv)
  const result = isIdentity(kernel) ? transpose(flat) : matmul(transpose(flat), asTensor(kernel))
  return reshape(result, [out, c, ...taps])
}
