/** Solves linear equations, rows `[...coefficients, right side]`, by Gauss' elimination with pivoting. */
export function solveLinear(rows: number[][]): number[] {
  const n = rows.length
  for (let column = 0; column < n; column++) {
    const pivot = rows.slice(column).reduce((a, b) => (Math.abs(b[column]!) > Math.abs(a[column]!) ? b : a))
    rows.splice(rows.indexOf(pivot), 1)
    rows.splice(column, 0, pivot)
    for (const row of rows) {
      if (row === pivot) continue
      const factor = row[column]! / pivot[column]!
      for (let k = column; k <= n; k++) row[k]! -= factor * pivot[k]!
    }
  }
  return rows.map((row, k) => row[n]! / row[k]!)
}
