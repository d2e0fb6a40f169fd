import type { Renames } from './module-names.js'

/**
 * Names of TAESD (`encoder.N.*`, `decoder.N.*`: its two files under these prefixes) and of diffusers' AutoencoderTiny.
 *
 * The original's decoder begins with a Clamp that diffusers does not count as a layer.
 */
export const tinyAutoencoderRenames: Renames = {
  toDiffusers(name, shape) {
    const [, half, layer, rest] = /^(encoder|decoder)\.(\d+)\.(.+)$/.exec(name) ?? []
    if (half === undefined || (half === 'decoder' && layer === '0')) return undefined
    return { name: `${half}.layers.${Number(layer) - clampLayers(half)}.${rest}`, shape }
  },
  toCompvis(name, shape) {
    const [, half, layer, rest] = /^(encoder|decoder)\.layers\.(\d+)\.(.+)$/.exec(name) ?? []
    return half === undefined ? undefined : { name: `${half}.${Number(layer) + clampLayers(half)}.${rest}`, shape }
  },
}

function clampLayers(half: string): number {
  return half === 'decoder' ? 1 : 0
}
