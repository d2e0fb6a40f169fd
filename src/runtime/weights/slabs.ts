/** More than the 32 MiB up to which C's allocators keep what is freed for themselves. */
const slabSize = 2 ** 26

/**
 * Places arrays one after the other in large pieces of memory, which go back to the system as a whole: by themselves they
 * would leave holes between others, and those stay with the process. What is not written of a piece takes no memory.
 */
export function slabs(): <T extends Float32Array | Uint16Array | Int8Array>(array: T) => T {
  let slab = new ArrayBuffer(0)
  let at = 0
  return <T extends Float32Array | Uint16Array | Int8Array>(array: T): T => {
    if (at + array.byteLength > slab.byteLength) {
      slab = new ArrayBuffer(Math.max(slabSize, array.byteLength))
      at = 0
    }
    const make = array.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => T
    const placed = new make(slab, at, array.length)
    placed.set(array)
    at = Math.ceil((at + array.byteLength) / 64) * 64
    return placed
  }
}
