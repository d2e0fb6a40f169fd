import { add } from '../../tensor/binary.js'
import { constant } from '../../tensor/constant.js'
import type { ConvAttributes } from '../../tensor/conv.js'
import { matmul } from '../../tensor/matmul.js'
import { reshape, transpose } from '../../tensor/reshape.js'
import { concat, slice } from '../../tensor/slice.js'
import type { Tensor } from '../../tensor/tensor.js'
import { kronecker, type Matrix, matrix, transposed, winogradMatrices } from './bilinear-axis.js'
import { everyRun } from './every-run.js'

/** Images longer than this are cut into strips of so many rows, which keeps what lies between the products small. */
const longestWhole = 64
const stripRows = 32

/** Whether it is a 3x3 convolution of whole images, which keeps their size. */
export function isSame3x3({ op, inputs: [, weight], attributes, dtype }: Tensor): boolean {
  if (op.name !== 'conv2d' || dtype !== 'f32') return false
  const { stride, padding, dilation, groups } = attributes as ConvAttributes
  const [, , kh, kw] = weight!.shape
  return kh === 3 && kw === 3 && [...stride, ...padding, ...dilation, groups].every(n => n === 1)
}

const known = new Map<string, Tensor>()

/** The same matrix is the same tensor, wherever it is used; the key says which it is. */
export function asTensor(key: string, make: () => Matrix): Tensor {
  if (!known.has(key)) {
    const { data, rows, columns } = make()
    known.set(key, constant(data, [rows, columns]))
  }
  return known.get(key)!
}

/** One tile's matrices. */
const tile = winogradMatrices(4, { input: 6, output: 4, before: 0 })
const outputTransform = () => asTensor('output', () => kronecker(tile.output, tile.output))

/** Bytes of tiles, and of weights at their points where these are made in every run, that are there at once if possible. */
const largestPart = 40 * 2 ** 20
/** The six points of a tile's rows are gone through in so many parts. */
const partitions = [1, 2, 3, 6]

/** The points `from` to `to` of an axis; the rows of a transform are ordered [points, tiles]. */
const pointsOf = (m: Matrix, [from, to]: Points): Matrix => {
  const tiles = m.rows / 6
  return matrix((to - from) * tiles, m.columns, (row, column) => m.data[(row + from * tiles) * m.columns + column]!)
}

type Points = readonly [from: number, to: number]

/**
 * A 3x3 convolution that keeps the size by Winograd's F(4x4, 3x3) (Lavin & Gray 2015): 36 products of matrices instead of
 * 144 for each tile of 16 pixels. Images stay [batch, channels, height, width]; what becomes of the weight depends on it
 * alone and is kept, or made in every run.
 */
export function winogradOfConstant({ inputs }: Tensor, kept: boolean, part = largestPart): Tensor {
  const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor?]
  const height = x.shape[2]!
  const rows = height > longestWhole ? stripRows : height
  const count = partsOf(x, weight, { rows, kept, part })
  const parts = Array.from({ length: count }, (_, i): Part => {
    const points = [(6 / count) * i, (6 / count) * (i + 1)] as const
    return { points, weight: transformed(kept ? weight : everyRun(weight), points) }
  })
  const strips: Tensor[] = []
  for (let start = 0; start < height; start += rows) {
    strips.push(winogradStrip(x, parts, start, Math.min(start + rows, height)))
  }
  const y = strips.length > 1 ? concat(strips, { axis: 2 }) : strips[0]!
  return bias ? add(y, reshape(bias, [bias.shape[0]!, 1, 1])) : y
}

/** Points of rows, and the weight there: [points * 6, out, channels]. */
interface Part {
  readonly points: Points
  readonly weight: Tensor
}

/** In how many parts the points are gone through. */
function partsOf(
  x: Tensor,
  weight: Tensor,
  { rows, kept, part }: { rows: number; kept: boolean; part: number },
): number {
  const [n, c, , width] = x.shape as [number, number, number, number]
  const tiles = Math.abs(n) * Math.ceil(rows / 4) * Math.ceil(width / 4)
  const largest = 4 * 36 * c * Math.max(tiles, kept ? 0 : weight.shape[0]!)
  return partitions.find(count => largest / count <= part) ?? 6
}

/** [out, channels, 3, 3] -> [points * 6, out, channels]. */
function transformed(weight: Tensor, points: Points): Tensor {
  const [out, c] = weight.shape as [number, number]
  const kernel = asTensor(`kernel ${points}`, () => kronecker(pointsOf(tile.kernel, points), tile.kernel))
  return reshape(matmul(kernel, transpose(reshape(weight, [out * c, 9]))), [kernel.shape[0]!, out, c])
}

/**
 * Rows `start` to `end` of the result. Rows are transformed as [pixels, width] x [width, points], columns as one small
 * product an image: both stay in the cache, where a product over the leading axis of all images would not.
 */
function winogradStrip(x: Tensor, parts: readonly Part[], start: number, end: number): Tensor {
  const [n, c, height, w] = x.shape as [number, number, number, number]
  const out = parts[0]!.weight.shape[1]!
  const [from, to] = [Math.max(start - 1, 0), Math.min(end + 1, height)]
  const h = to - from
  const [tall, wide] = [Math.ceil((end - start) / 4), Math.ceil(w / 4)]
  const across = asTensor(`across ${w}`, () =>
    transposed(winogradMatrices(4, { input: w, output: w, before: 1 }).input),
  )
  const vertical = { input: h, output: end - start, before: from - start + 1 }
  const strip = slice(x, { axis: 2, start: from, end: to })
  const rows = reshape(matmul(reshape(strip, [n * c * h, w]), across), [n * c, h, 6 * wide])
  const products = parts.map(({ points, weight }) => {
    const down = asTensor(`down ${Object.values(vertical)} ${points}`, () =>
      pointsOf(winogradMatrices(4, vertical).input, points),
    )
    const some = points[1] - points[0]
    const tiles = transpose(reshape(matmul(down, rows), [n, c, some, tall, 6, wide]), [2, 4, 1, 0, 3, 5])
    return matmul(weight, reshape(tiles, [6 * some, c, n * tall * wide]))
  })
  const all = products.length > 1 ? concat(products, { axis: 0 }) : products[0]!
  const pixels = matmul(outputTransform(), reshape(all, [36, out * n * tall * wide]))
  const apart = reshape(pixels, [4, 4, out, n, tall, wide])
  const y = reshape(transpose(apart, [3, 2, 4, 0, 5, 1]), [n, out, 4 * tall, 4 * wide])
  return slice(slice(y, { axis: 2, end: end - start }), { axis: 3, end: w })
}
