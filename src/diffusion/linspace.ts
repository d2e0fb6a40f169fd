/** `n` equally spaced numbers from `start` to `stop`, both included, as numpy computes them. */
export function linspace(start: number, stop: number, n: number): Float64Array {
  const step = (stop - start) / (n - 1)
  return Float64Array.from({ length: n }, (_, i) => (i === n - 1 && n > 1 ? stop : i === 0 ? start : start + i * step))
}

/**
 * The same in float32, bit for bit as torch's CPU code: from both ends towards the middle, each value by one fused
 * multiply-add (the product is exact in double precision). Source: aten/src/ATen/native/cpu/RangeFactoriesKernel.cpp.
 */
export function linspace32(start: number, stop: number, n: number): Float32Array {
  const a = Math.fround(start)
  const b = Math.fround(stop)
  if (n === 1) return Float32Array.of(a)
  const step = Math.fround(Math.fround(b - a) / (n - 1))
  const half = Math.floor(n / 2)
  return Float32Array.from({ length: n }, (_, i) => (i < half ? a + step * i : b - step * (n - 1 - i)))
}

/** Rounds to the nearest integer, halves to the even one, as numpy does. */
export function roundHalfEven(x: number): number {
  const low = Math.floor(x)
  if (x - low !== 0.5) return Math.round(x)
  return low % 2 === 0 ? low : low + 1
}
