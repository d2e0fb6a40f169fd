const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let c = byte
  // The reflected polynomial of Castagnoli, RFC 3720, appendix B.4.
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
  return c
})

/** CRC-32C (Castagnoli) of some bytes, 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array): number {
  let c = 0xffffffff
  for (const byte of bytes) c = table[(c ^ byte) & 255]! ^ (c >>> 8)
  return (c ^ 0xffffffff) >>> 0
}
