/** Pieces of bytes one after the other in a new array. */
export const concatBytes = (...pieces: readonly ArrayLike<number>[]): Uint8Array => joinBytes(pieces)

/** The same of a list, which may be longer than the arguments of a call. */
export function joinBytes(pieces: readonly ArrayLike<number>[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let offset = 0
  for (const piece of pieces) {
    out.set(piece, offset)
    offset += piece.length
  }
  return out
}
