/** Features of pictures, one row a picture: [rows, columns]. */
export interface Features {
  readonly data: Float32Array | Float64Array
  readonly rows: number
  readonly columns: number
}

/** Throws a RangeError unless two matrices have rows enough and equally many columns. */
export function checkFeatures(what: string, fewest: number, ...matrices: readonly Features[]): void {
  for (const { data, rows, columns } of matrices) {
    if (data.length !== rows * columns || columns < 1) {
      throw new RangeError(`Cannot compute ${what}: ${data.length} values are no features [${rows}, ${columns}]`)
    }
    if (rows < fewest)
      throw new RangeError(`Cannot compute ${what} from ${rows} pictures; at least ${fewest} are wanted`)
    if (columns !== matrices[0]!.columns) {
      throw new RangeError(
        `Cannot compute ${what}: features of ${matrices[0]!.columns} and of ${columns} columns differ`,
      )
    }
  }
}

/** The mean of the columns, and their covariance over rows - 1, [columns, columns]. */
export function meanAndCovariance({ data, rows, columns }: Features): { mean: Float64Array; covariance: Float64Array } {
  const mean = new Float64Array(columns)
  for (let i = 0; i < data.length; i++) mean[i % columns]! += data[i]! / rows
  const covariance = new Float64Array(columns * columns)
  const centred = new Float64Array(columns)
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++) centred[c] = data[row * columns + c]! - mean[c]!
    for (let i = 0; i < columns; i++) {
      const value = centred[i]!
      for (let j = i; j < columns; j++) covariance[i * columns + j]! += value * centred[j]!
    }
  }
  for (let i = 0; i < columns; i++) {
    for (let j = i; j < columns; j++) {
      covariance[j * columns + i] = covariance[i * columns + j]! /= rows - 1
    }
  }
  return { mean, covariance }
}
