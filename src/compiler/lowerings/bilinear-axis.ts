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

export const isIdentity = (m: Matrix): boolean =>
  m.rows === m.columns && m.data.every((x, i) => x === +(i % (m.columns + 1) === 0))

/**
 * One axis of a convolution as a bilinear algorithm, y = output · ((kernel · w) ∘ (input · x)): the products of `points`
 * numbers in each of `tiles` tiles. Rows of `input` and columns of `output` are ordered [points, tiles].
 */
export interface BilinearAxis {
  readonly points: number
  readonly tiles: number
  readonly input: Matrix
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

/** The definition itself: a product for each tap and output. */
export const directAxis = ({ input, output, taps, stride, dilation, before }: ConvAxis): BilinearAxis => ({
  points: taps,
  tiles: output,
  input: matrix(
    taps * output,
    input,
    (row, x) => +(x === (row % output) * stride + Math.floor(row / output) * dilation - before),
  ),
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

/** Three taps at stride 1 by Winograd's algorithm, `outputs` results a tile. */
export function winogradAxis(outputs: 2 | 4, { input, output, before }: ConvAxis): BilinearAxis {
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
