/**
 * Quantile of the symmetric beta distribution B(a, a): the x with I_x(a, a) = p, to about 1e-14.
 *
 * Found by bisection of the regularised incomplete beta function (continued fraction, Press et al., Numerical Recipes,
 * section 6.4).
 */
export function betaQuantile(p: number, a: number): number {
  if (p <= 0) return 0
  if (p >= 1) return 1
  if (p === 0.5) return 0.5
  if (p > 0.5) return 1 - betaQuantile(1 - p, a)
  // Near 0 the quantile falls as p^(1/a): bisect its logarithm, so that small values keep their relative precision.
  let low = Math.log(Number.MIN_VALUE)
  let high = Math.log(0.5)
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2
    if (incompleteBeta(Math.exp(middle), a) < p) low = middle
    else high = middle
  }
  return Math.exp((low + high) / 2)
}

/** I_x(a, a) for x in [0, 1/2]. */
function incompleteBeta(x: number, a: number): number {
  const front = Math.exp(a * (Math.log(x) + Math.log1p(-x)) + logGamma(2 * a) - 2 * logGamma(a)) / a
  return front * continuedFraction(x, a)
}

/** Lentz's algorithm for the continued fraction of the incomplete beta function with equal parameters. */
function continuedFraction(x: number, a: number): number {
  const tiny = 1e-300
  const guard = (v: number) => (Math.abs(v) < tiny ? tiny : v)
  let c = 1
  let d = 1 / guard(1 - (2 * a * x) / (a + 1))
  let h = d
  for (let m = 1; m <= 500; m++) {
    const even = (m * (a - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    const odd = (-(a + m) * (2 * a + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    for (const term of [even, odd]) {
      d = 1 / guard(1 + term * d)
      c = guard(1 + term / c)
      h *= d * c
    }
    if (Math.abs(d * c - 1) < 1e-16) break
  }
  return h
}

/** Stirling's series after moving the argument up; relative error below 1e-15 for positive arguments. */
function logGamma(z: number): number {
  let shift = 0
  for (; z < 15; z++) shift += Math.log(z)
  const w = 1 / (z * z)
  const series = (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w * (1 / 1188))))) / z
  return (z - 0.5) * Math.log(z) - z + Math.log(2 * Math.PI) / 2 + series - shift
}
