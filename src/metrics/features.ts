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
