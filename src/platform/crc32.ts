/** tables[k][byte]: what a byte does to the checksum k bytes further on. */
const tables: Uint32Array[] = []
for (let k = 0; k < 8; k++) {
  tables.push(
    Uint32Array.from({ length: 256 }, (_, byte) => {
      if (k > 0) return (tables[k - 1]![byte]! >>> 8) ^ tables[0]![tables[k - 1]![byte]! & 255]!
      let c = byte
      for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
      return c
    }),
  )
}
const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
]

/**
 * The CRC-32 of PNG and ZIP (ISO 3309), 0 to 2^32 - 1.
 *
 * Eight bytes at a time (Kounavis and Berry 2005): checkpoints have gigabytes. `before` is that of the bytes before these.
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  let c = ~before
  let i = 0
  for (; i + 8 <= bytes.length; i += 8) {
    c =
      t7[(c ^ bytes[i]!) & 255]! ^
      t6[((c >>> 8) ^ bytes[i + 1]!) & 255]! ^
      t5[((c >>> 16) ^ bytes[i + 2]!) & 255]! ^
      t4[((c >>> 24) ^ bytes[i + 3]!) & 255]! ^
      t3[bytes[i + 4]!]! ^
      t2[bytes[i + 5]!]! ^
      t1[bytes[i + 6]!]! ^
      t0[bytes[i + 7]!]!
  }
  for (; i < bytes.length; i++) c = t0[(c ^ bytes[i]!) & 255]! ^ (c >>> 8)
  return ~c >>> 0
}
