/**
 * Four words of Philox 4x32-10 (Salmon et al. 2011) for a counter and a key, each given low word first.
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter
  let [k0, k1] = key
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = multiply(0xd2511f53, c0)
    const [high1, low1] = multiply(0xcd9e8d57, c2)
    ;[c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0]
    // Weyl steps: the golden ratio and sqrt(3) - 1.
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
  }
  return [c0, c1, c2, c3]
}

/** High and low word of a 32 x 32 bit product. */
function multiply(a: number, b: number): [number, number] {
  const low = (a & 0xffff) * b
  const high = (a >>> 16) * b + Math.floor(low / 2 ** 16)
  return [Math.floor(high / 2 ** 16), Math.imul(a, b) >>> 0]
}

export interface PhiloxGenerator {
  /** The next call's standard normals, float32: n of them from the `first` on. */
  randn(n: number, first?: number): Float32Array
  /** How many calls were made: the whole state beside the seed. */
  readonly offset: number
}

/**
 * Normals as torch draws them on a CUDA device, for tensors small enough that each thread draws one number (126,000
 * elements on an RTX 3090, 270,000 on an H100): element i of call o takes the counter (o, 0, i, 0) and the 64-bit seed as key.
 *
 * Source: AUTOMATIC1111, modules/rng_philox.py. Real devices differ by about 1e-6.
 */
export function philoxGenerator(seed: number | bigint, offset = 0): PhiloxGenerator {
  const bits = BigInt.asUintN(64, BigInt(seed))
  const key = [Number(bits & 0xffffffffn), Number(bits >> 32n)] as const
  let calls = offset
  return {
    randn(n, first = 0) {
      const out = new Float32Array(n)
      for (let i = 0; i < n; i++) {
        const [a, b] = philox4x32([calls, 0, first + i, 0], key)
        // The halves keep the uniforms off 0, where the logarithm is infinite.
        out[i] = Math.sqrt(-2 * Math.log((a + 0.5) * 2 ** -32)) * Math.sin((b + 0.5) * 2 ** -32 * 2 * Math.PI)
      }
      calls++
      return out
    },
    get offset() {
      return calls
    },
  }
}
