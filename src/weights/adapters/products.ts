/** A matrix of f64, row-major. */
export interface Matrix {
  readonly rows: number
  readonly columns: number
  readonly data: Float64Array
}

export const matrix = (data: ArrayLike<number>, rows: number): Matrix => ({
  rows,
  columns: data.length / rows,
  data: Float64Array.from(data),
})

/** No weight of a network comes near 1 GiB, but a hostile file's factors may: numbers, before they are made. */
const most = 2 ** 27

function room(rows: number, columns: number): Float64Array {
  if (rows * columns > most) throw new RangeError(`a product of ${rows} x ${columns} is larger than any weight`)
  return new Float64Array(rows * columns)
}

/** Throws RangeError where the sizes do not fit or the result is too large, as all of these do. */
export function product(a: Matrix, b: Matrix): Matrix {
  if (a.columns !== b.rows) throw new RangeError(`${a.rows} x ${a.columns} does not fit ${b.rows} x ${b.columns}`)
  const data = room(a.rows, b.columns)
  for (let i = 0; i < a.rows; i++) {
    const row = data.subarray(i * b.columns, (i + 1) * b.columns)
    for (let k = 0; k < a.columns; k++) {
      const factor = a.data[i * a.columns + k]!
      const from = k * b.columns
      for (let j = 0; j < b.columns; j++) row[j]! += factor * b.data[from + j]!
    }
  }
  return { rows: a.rows, columns: b.columns, data }
}

export function transposed({ rows, columns, data }: Matrix): Matrix {
  const turned = new Float64Array(data.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = data[i * columns + j]!
  return { rows: columns, columns: rows, data: turned }
}

/** core [i, j, kernel], left [i, out], right [j, in] -> [out, in * kernel]: LyCORIS' rebuild_tucker. */
export function tucker(core: Matrix, left: Matrix, right: Matrix): Matrix {
  const kernel = core.columns / right.rows
  if (!Number.isInteger(kernel))
    throw new RangeError(`a core of ${core.columns} columns does not fit ${right.rows} rows`)
  const mixed = room(core.rows, right.columns * kernel)
  for (let i = 0; i < core.rows; i++) {
    const slice = matrix(core.data.subarray(i * core.columns, (i + 1) * core.columns), right.rows)
    mixed.set(product(transposed(right), slice).data, i * right.columns * kernel)
  }
  return product(transposed(left), { rows: core.rows, columns: right.columns * kernel, data: mixed })
}

/** a [p, q] and b [out, in * kernel] -> [p * out, q * in * kernel], every number of a times all of b. */
export function kronecker(a: Matrix, b: Matrix, kernel: number): Matrix {
  const inner = b.columns / kernel
  const [rows, columns] = [a.rows * b.rows, a.columns * b.columns]
  if (!Number.isInteger(inner)) throw new RangeError(`${b.columns} columns are no whole kernels of ${kernel}`)
  const data = room(rows, columns)
  for (let p = 0; p < a.rows; p++)
    for (let o = 0; o < b.rows; o++)
      for (let q = 0; q < a.columns; q++) {
        const to = (p * b.rows + o) * columns + q * inner * kernel
        const factor = a.data[p * a.columns + q]!
        for (let j = 0; j < b.columns; j++) data[to + j] = factor * b.data[o * b.columns + j]!
      }
  return { rows, columns, data }
}

export function elementwise(a: Matrix, b: Matrix): Matrix {
  if (a.rows !== b.rows || a.columns !== b.columns)
    throw new RangeError(`${a.rows} x ${a.columns} does not fit ${b.rows} x ${b.columns}`)
  return { ...a, data: a.data.map((v, i) => v * b.data[i]!) }
}
