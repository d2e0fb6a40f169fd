import { groupNorm as normalizeGroups, layerNorm as normalizeLast } from '../tensor/normalize.js'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import { ones, zeros } from './initialisers.js'

export interface GroupNormOptions {
  groups?: number
  /** Torch's default; SpatialTransformer and the autoencoder have 1e-6. */
  epsilon?: number
}

/** Brings groups of channels of [batch, channels, h, w] to mean 0 and variance 1, then scales and shifts each channel. */
export function groupNorm(at: Scope, x: Tensor, { groups = 32, epsilon = 1e-5 }: GroupNormOptions = {}): Tensor {
  const channels = x.shape[1]!
  const weight = at.parameter('weight', [channels], ones)
  return normalizeGroups(x, groups, weight, at.parameter('bias', [channels], zeros), { epsilon })
}

/** Brings the last axis to mean 0 and variance 1, then scales and shifts each of its elements. */
export function layerNorm(at: Scope, x: Tensor, { epsilon = 1e-5 }: { epsilon?: number } = {}): Tensor {
  const width = x.shape.at(-1)!
  return normalizeLast(x, at.parameter('weight', [width], ones), at.parameter('bias', [width], zeros), { epsilon })
}
