const [INIT_A, MULT_A] = [0x43b0d7e5, 0x931e8875]
const [INIT_B, MULT_B] = [0x8b51f9dd, 0x58f38ded]
const [MIX_LEFT, MIX_RIGHT] = [0xca01f9dd, 0x4973f715]

/**
 * Words that a seed and the place of a child below it spread to, as numpy's `SeedSequence(entropy, spawn_key,
 * pool_size).generate_state(count)`.
 *
 * Source: numpy, random/bit_generator.pyx (O'Neill's seed_seq_fe).
 */
export function seedWords(
  entropy: number | bigint,
  count: number,
  { spawnKey = [], poolSize = 4 }: { spawnKey?: readonly number[]; poolSize?: number } = {},
): Uint32Array {
  const pool = mixedPool(entropy, spawnKey, poolSize)
  let hash = INIT_B
  return Uint32Array.from({ length: count }, (_, i) => {
    const value = pool[i % poolSize]! ^ hash
    hash = Math.imul(hash, MULT_B)
    return folded(Math.imul(value, hash))
  })
}

function mixedPool(entropy: number | bigint, spawnKey: readonly number[], size: number): Uint32Array {
  const own = words(entropy)
  // Filled up before the key, so that no child of a short seed equals a longer seed.
  if (spawnKey.length > 0) while (own.length < size) own.push(0)
  const all = [...own, ...spawnKey.flatMap(words)]
  let hash = INIT_A
  const hashed = (value: number) => {
    const mixed = value ^ hash
    hash = Math.imul(hash, MULT_A)
    return folded(Math.imul(mixed, hash))
  }
  const mix = (x: number, y: number) => folded(Math.imul(MIX_LEFT, x) - Math.imul(MIX_RIGHT, y))
  const pool = Uint32Array.from({ length: size }, (_, i) => hashed(all[i] ?? 0))
  for (let from = 0; from < size; from++) {
    for (let to = 0; to < size; to++) if (from !== to) pool[to] = mix(pool[to]!, hashed(pool[from]!))
  }
  for (const value of all.slice(size)) {
    for (let to = 0; to < size; to++) pool[to] = mix(pool[to]!, hashed(value))
  }
  return pool
}

/** A whole number of any size as 32-bit words, lowest first. */
function words(value: number | bigint): number[] {
  const out: number[] = []
  for (let rest = BigInt(value); rest > 0n || out.length === 0; rest >>= 32n) out.push(Number(rest & 0xffffffffn))
  return out
}

function folded(value: number): number {
  const word = value >>> 0
  return (word ^ (word >>> 16)) >>> 0
}
