const N = 624
const M = 397

/** The words of an MT19937 generator (Matsumoto & Nishimura 1998), drawn one by one. */
export interface Mt19937 {
  /** The next 32-bit word, 0 to 2^32 - 1. */
  next(): number
  /** The generator's 624 words and the position in them. */
  save(): { words: number[]; position: number }
}

/** MT19937 seeded with the low 32 bits of a seed, as torch and numpy's RandomState seed it. */
export function mt19937(seed: number | bigint): Mt19937 {
  const words = new Uint32Array(N)
  words[0] = Number(BigInt.asUintN(32, BigInt(seed)))
  for (let i = 1; i < N; i++) {
    const previous = words[i - 1]! ^ (words[i - 1]! >>> 30)
    words[i] = Math.imul(1812433253, previous) + i
  }
  return fromWords(words, N)
}

/** The generator that `save` described; throws RangeError for anything else. */
export function restoreMt19937({ words, position }: { words: ArrayLike<number>; position: number }): Mt19937 {
  if (words.length !== N || !Number.isInteger(position) || position < 0 || position > N) {
    throw new RangeError(
      `Cannot restore a generator from ${words.length} words at position ${position}: an MT19937 state has ${N} words and a position from 0 to ${N}`,
    )
  }
  return fromWords(Uint32Array.from(words), position)
}

function fromWords(words: Uint32Array, start: number): Mt19937 {
  let position = start
  return {
    next() {
      if (position === N) {
        twist(words)
        position = 0
      }
      let y = words[position++]!
      y ^= y >>> 11
      y ^= (y << 7) & 0x9d2c5680
      y ^= (y << 15) & 0xefc60000
      return (y ^ (y >>> 18)) >>> 0
    },
    save: () => ({ words: Array.from(words), position }),
  }
}

function twist(words: Uint32Array): void {
  for (let i = 0; i < N; i++) {
    const y = (words[i]! & 0x80000000) | (words[i + 1 < N ? i + 1 : 0]! & 0x7fffffff)
    const far = words[i + M < N ? i + M : i + M - N]!
    words[i] = far ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
  }
}
