import { type Mt19937, mt19937, restoreMt19937 } from './mt19937.js'

/** A torch generator's whole state as plain data (it survives JSON). */
export interface TorchState {
  readonly words: readonly number[]
  readonly position: number
  /** The second half of the last double-precision Box-Muller pair, if not used up yet. */
  readonly spareNormal: number | null
}

/**
 * Random numbers equal to those of torch's CPU generator, call by call: a `randn(5)` then `rand(3)` here gives the
 * numbers of `torch.randn(5)` then `torch.rand(3)` there. Normals of 16 and more agree to 2e-6 (torch's own vector and
 * scalar code differ by as much), all else to the bit.
 *
 * Source: aten/src/ATen/native/cpu/DistributionTemplates.h, aten/src/ATen/core/DistributionsHelper.h.
 *
 * @example const x = torchGenerator(42).randn(4 * 64 * 64) // starts 1.9269, 1.4873, .9007
 */
export interface TorchGenerator {
  /** The next raw 32-bit word. */
  word(): number
  /** Standard normals, float32. */
  randn(n: number): Float32Array
  /** Standard normals, float64 (another stream than `randn`). */
  randn64(n: number): Float64Array
  /** Uniform in [0, 1), float32. */
  rand(n: number): Float32Array
  /** Uniform in [0, 1), float64. */
  rand64(n: number): Float64Array
  /** Integers from `low` to `high - 1`; throws RangeError where the range is empty or beyond 2^53. */
  randint(low: number, high: number, n: number): Float64Array
  /** A permutation of 0 .. n-1. */
  randperm(n: number): Int32Array
  /** `torch.bernoulli` of a tensor filled with `p`: 1 with probability p. */
  bernoulli(p: number, n: number): Uint8Array
  /** `Tensor.bernoulli_(p)`: the same distribution from another stream. */
  bernoulliScalar(p: number, n: number): Uint8Array
  /** What dropout multiplies by: 0 with probability p, else 1 / (1 - p). */
  dropout(p: number, n: number): Float32Array
  /** `Tensor.uniform_(low, high)`, float32. */
  uniform(low: number, high: number, n: number): Float32Array
  /** `Tensor.normal_(mean, std)`, float32. */
  normal(mean: number, std: number, n: number): Float32Array
  state(): TorchState
}

/** A torch CPU generator after `manual_seed(seed)`; only the low 32 bits of the seed count, as in torch. */
export function torchGenerator(seed: number | bigint): TorchGenerator {
  return generator(mt19937(seed), null)
}

/** The generator whose `state()` this is; throws RangeError where it is no such state. */
export function restoreTorchGenerator(state: TorchState): TorchGenerator {
  return generator(restoreMt19937(state), state.spareNormal)
}

const TWO_PI = 2 * Math.PI
const TWO_PI_F32 = Math.fround(2 * Math.PI)
const { fround, sqrt, log, log1p, cos, sin } = Math

function generator(words: Mt19937, spare: number | null): TorchGenerator {
  const { next } = words

  const unit24 = () => (next() & 0xffffff) * 2 ** -24
  // 53 low bits of a 64-bit word whose high half is drawn first.
  const unit53 = () => ((next() & 0x1fffff) * 2 ** 32 + next()) * 2 ** -53

  /** The path of fewer than 16 numbers: double-precision Box-Muller, the sine kept for the next call. */
  function single(): number {
    if (spare !== null) {
      const kept = spare
      spare = null
      return kept
    }
    const u1 = unit53()
    const r = sqrt(-2 * log1p(-unit53()))
    spare = r * sin(TWO_PI * u1)
    return r * cos(TWO_PI * u1)
  }

  function normal(mean: number, std: number, n: number): Float32Array {
    const out = new Float32Array(n)
    if (n < 16) {
      for (let i = 0; i < n; i++) out[i] = single() * std + mean
      return out
    }
    for (let i = 0; i < n; i++) out[i] = unit24()
    for (let i = 0; i + 16 <= n; i += 16) block32(out, i, mean, std)
    if (n % 16 !== 0) {
      for (let i = n - 16; i < n; i++) out[i] = unit24()
      block32(out, n - 16, mean, std)
    }
    return out
  }

  function randint(low: number, high: number, n: number): Float64Array {
    const range = high - low
    if (!Number.isSafeInteger(low) || !Number.isSafeInteger(high) || !(range > 0) || !Number.isSafeInteger(range)) {
      throw new RangeError(
        `Cannot draw integers from ${low} to below ${high}: the range must hold 1 to 2^53 - 1 integers`,
      )
    }
    const out = new Float64Array(n)
    // torch 2.13 takes 64-bit words from a range of 2^28 on (older versions: 2^32).
    if (range < 2 ** 28) {
      for (let i = 0; i < n; i++) out[i] = low + (next() % range)
      return out
    }
    const wide = BigInt(range)
    for (let i = 0; i < n; i++) {
      const word = (BigInt(next()) << 32n) | BigInt(next())
      out[i] = low + Number(word % wide)
    }
    return out
  }

  function bernoulliScalar(p: number, n: number): Uint8Array {
    const out = new Uint8Array(n)
    for (let i = 0; i < n; i++) out[i] = unit53() < p ? 1 : 0
    return out
  }

  return {
    word: next,
    randn: n => normal(0, 1, n),
    normal,
    randint,
    bernoulliScalar,
    randn64(n) {
      const out = new Float64Array(n)
      if (n < 16) {
        for (let i = 0; i < n; i++) out[i] = single()
        return out
      }
      for (let i = 0; i < n; i++) out[i] = unit53()
      for (let i = 0; i + 16 <= n; i += 16) block64(out, i)
      if (n % 16 !== 0) {
        for (let i = n - 16; i < n; i++) out[i] = unit53()
        block64(out, n - 16)
      }
      return out
    },
    rand(n) {
      const out = new Float32Array(n)
      for (let i = 0; i < n; i++) out[i] = unit24()
      return out
    },
    rand64(n) {
      const out = new Float64Array(n)
      for (let i = 0; i < n; i++) out[i] = unit53()
      return out
    },
    randperm(n) {
      const out = Int32Array.from({ length: n }, (_, i) => i)
      for (let i = 0; i + 1 < n; i++) {
        const j = i + (next() % (n - i))
        const kept = out[i]!
        out[i] = out[j]!
        out[j] = kept
      }
      return out
    },
    bernoulli(p, n) {
      const out = new Uint8Array(n)
      const threshold = fround(p)
      for (let i = 0; i < n; i++) out[i] = unit24() < threshold ? 1 : 0
      return out
    },
    dropout(p, n) {
      const keep = 1 - p
      return Float32Array.from(bernoulliScalar(keep, n), bit => (bit ? 1 / fround(keep) : 0))
    },
    uniform(low, high, n) {
      const out = new Float32Array(n)
      const width = fround(fround(high) - fround(low))
      for (let i = 0; i < n; i++) out[i] = fround(unit24() * width) + fround(low)
      return out
    },
    state: () => ({ ...words.save(), spareNormal: spare }),
  }
}

/** Eight pairs of uniforms to eight cosines and eight sines, rounded where torch's float32 code rounds. */
function block32(out: Float32Array, at: number, mean: number, std: number): void {
  for (let j = at; j < at + 8; j++) {
    const radius = fround(sqrt(-2 * fround(log(1 - out[j]!))))
    const theta = fround(TWO_PI_F32 * out[j + 8]!)
    out[j] = fround(radius * fround(cos(theta))) * std + mean
    out[j + 8] = fround(radius * fround(sin(theta))) * std + mean
  }
}

function block64(out: Float64Array, at: number): void {
  for (let j = at; j < at + 8; j++) {
    const radius = sqrt(-2 * log(1 - out[j]!))
    const theta = TWO_PI * out[j + 8]!
    out[j] = radius * cos(theta)
    out[j + 8] = radius * sin(theta)
  }
}
