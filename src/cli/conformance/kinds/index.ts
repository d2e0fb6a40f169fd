import type { Kind } from '../kind.js'

/** All kinds that latentkit computes; the first that recognises a case runs it. */
export const kinds: readonly Kind[] = []
