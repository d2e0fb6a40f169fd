/** A matrix, row by row. */
export interface Matrix {
  readonly rows: number
  readonly columns: number
  readonly data: Float64Array
}

export const matrix = (rows: number, columns: number, at: (row: number, column: number) => number): Matrix => ({
  rows,
  columns,
  data: Float64Array.from({ length: rows * columns }, (_, i) => at(Math.floor(i / columns), i % columns)),
})

export const transposed = (m: Matrix): Matrix => matrix(m.columns, m.rows, (r, c) => m.data[c * m.columns + r]!)

/** The Kronecker product: both matrices' work on two axes at once. */
export const kronecker = (a: Matrix, b: Matrix): Matrix =>
  matrix(
    a.rows * b.rows,
    a.columns * b.columns,
    (r, c) =>
      a.data[Math.floor(r / b.rows) * a.columns + Math.floor(c / b.columns)]! *
      b.data[(r % b.rows) * b.columns + (c % b.columns)]!,
  )

/** A function of objects that computes each result once. */
export function once<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const made = new WeakMap<K, V>()
  return key => {
    if (!made.has(key)) made.set(key, make(key))
    return made.get(key)!
  }
}

/** The matrix with its columns in reverse. */
export const reversedColumns = (m: Matrix): Matrix =>
  matrix(m.rows, m.columns, (r, c) => m.data[r * m.columns + m.columns - 1 - c]!)

export const isIdentity = (m: Matrix): boolean =>
  m.rows === m.columns && m.data.every((x, i) => x === +(i % (m.columns + 1) === 0))

/**
 * One axis of a convolution as a bilinear algorithm, y = output · ((kernel · w) ∘ (input · x)): the products of `points`
 * numbers in each of `tiles` tiles. Rows of `input` and columns of `output` are ordered [points, tiles]. A long axis is
 * cut into `blocks`, each with its own `input`, which takes the pixels from `from[block]` on.
 */
export interface BilinearAxis {
  readonly points: number
  readonly tiles: number
  readonly blocks: number
  readonly from: readonly number[]
  readonly input: readonly Matrix[]
  readonly kernel: Matrix
  readonly output: Matrix
}

/** One axis of a convolution: sizes in pixels. */
export interface ConvAxis {
  readonly input: number
  readonly output: number
  readonly taps: number
  readonly stride: number
  readonly dilation: number
  readonly before: number
}

/** The axis of the convolution that is the input's gradient, at stride 1: the kernel reversed. */
export const reversedAxis = (axis: ConvAxis): ConvAxis => ({
  ...axis,
  input: axis.output,
  output: axis.input,
  before: axis.dilation * (axis.taps - 1) - axis.before,
})

/** The definition itself: a product for each tap and output. */
export const directAxis = ({ input, output, taps, stride, dilation, before }: ConvAxis): BilinearAxis => ({
  points: taps,
  tiles: output,
  blocks: 1,
  from: [0],
  input: [
    matrix(
      taps * output,
      input,
      (row, x) => +(x === (row % output) * stride + Math.floor(row / output) * dilation - before),
    ),
  ],
  kernel: matrix(taps, taps, (a, b) => +(a === b)),
  output: matrix(output, taps * output, (y, column) => +(column % output === y)),
})

interface Winograd {
  readonly outputs: number
  readonly input: readonly (readonly number[])[]
  readonly kernel: readonly (readonly number[])[]
  readonly output: readonly (readonly number[])[]
}

/** F(2, 3) and F(4, 3) of Lavin & Gray 2015, "Fast Algorithms for Convolutional Neural Networks", section 4. */
const f2: Winograd = {
  outputs: 2,
  input: [
    [1, 0, -1, 0],
    [0, 1, 1, 0],
    [0, -1, 1, 0],
    [0, 1, 0, -1],
  ],
  kernel: [
    [1, 0, 0],
    [1 / 2, 1 / 2, 1 / 2],
    [1 / 2, -1 / 2, 1 / 2],
    [0, 0, 1],
  ],
  output: [
    [1, 1, 1, 0],
    [0, 1, -1, -1],
  ],
}
const f4: Winograd = {
  outputs: 4,
  input: [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
  ],
  kernel: [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
  ],
  output: [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
  ],
}

/** F(outputs, 3) over an axis or a part of one: `input` pixels from `before` pixels ahead of the first of `output` results. */
export function winogradMatrices(
  outputs: 2 | 4,
  { input, output, before }: Pick<ConvAxis, 'input' | 'output' | 'before'>,
) {
  const { input: b, kernel: g, output: a } = outputs === 2 ? f2 : f4
  const points = b.length
  const tiles = Math.ceil(output / outputs)
  return {
    points,
    tiles,
    input: matrix(
      points * tiles,
      input,
      (row, x) => b[Math.floor(row / tiles)]![x + before - (row % tiles) * outputs] ?? 0,
    ),
    kernel: matrix(points, 3, (p, tap) => g[p]![tap]!),
    output: matrix(
      output,
      points * tiles,
      (y, column) => a[y - (column % tiles) * outputs]?.[Math.floor(column / tiles)] ?? 0,
    ),
  }
}

/** Pixels of a block: transforms grow with its square, copied pixels with its inverse. */
const blockSize = 16
/** Up to this size an axis is one block. */
const wholeSize = 32

/** Three taps at stride 1 by Winograd's algorithm, `outputs` results a tile. */
export function winogradAxis(outputs: 2 | 4, { input, output, before }: ConvAxis): BilinearAxis {
  const cut = output > wholeSize && output % blockSize === 0 && input >= blockSize + 2
  const blocks = cut ? output / blockSize : 1
  const seen = cut ? blockSize + 2 : input
  const from = Array.from({ length: blocks }, (_, block) =>
    Math.min(Math.max(block * blockSize - before, 0), input - seen),
  )
  const parts = from.map((first, block) =>
    winogradMatrices(outputs, { input: seen, output: output / blocks, before: first + before - block * blockSize }),
  )
  return { ...parts[0]!, blocks, from, input: parts.map(part => part.input) }
}
