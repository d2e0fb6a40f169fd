/** Pieces of bytes one after the other in a new array. */
export function concatBytes(...pieces: readonly ArrayLike<number>[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let offset = 0
  for (const piece of pieces) {
    out.set(piece, offset)
    offset += piece.length
  }
  return out
}
