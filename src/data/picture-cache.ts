import type { Image } from '../image/index.js'

/** Keeps decoded pictures up to a number of bytes. */
export interface PictureCache {
  /** The picture of a key, made by `make` where it is not kept. */
  get<I extends Image>(key: string, make: () => Promise<I>): Promise<I>
  /** Bytes kept now. */
  readonly bytes: number
}

/** 1 GiB: all of 11,696 pictures of 128x128 (575 MB), or a part of larger sets, the rest being decoded every time. */
export const defaultCacheBytes = 2 ** 30

/**
 * A cache that is filled once: in training each picture comes once an epoch in random order, so to drop the oldest for
 * the newest would never hit, while what stays hits in every epoch.
 */
export function pictureCache(maxBytes: number = defaultCacheBytes): PictureCache {
  const kept = new Map<string, Image>()
  let bytes = 0
  return {
    async get<I extends Image>(key: string, make: () => Promise<I>) {
      const found = kept.get(key)
      if (found) return found as I
      const image = await make()
      if (!kept.has(key) && bytes + image.data.length <= maxBytes) {
        kept.set(key, image)
        bytes += image.data.length
      }
      return image
    },
    get bytes() {
      return bytes
    },
  }
}
