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

/** The config.json of a diffusers AutoencoderTiny; throws RangeError for a TAESD that it cannot express. */
export function tinyAutoencoderToDiffusers(words: {
  readonly latent_channels: number
  readonly width: number
  readonly use_midblock_gn: boolean
}): Record<string, unknown> {
  const { latent_channels, width, use_midblock_gn } = words
  if (use_midblock_gn) throw new RangeError('diffusers has no TAESD whose blocks look at the whole picture')
  const widths = new Array<number>(4).fill(width)
  return {
    _class_name: 'AutoencoderTiny',
    act_fn: 'relu',
    decoder_block_out_channels: widths,
    encoder_block_out_channels: widths,
    in_channels: 3,
    latent_channels,
    latent_magnitude: 3,
    latent_shift: 0.5,
    num_decoder_blocks: [3, 3, 3, 1],
    num_encoder_blocks: [1, 3, 3, 3],
    out_channels: 3,
    scaling_factor: 1,
    upsampling_scaling_factor: 2,
  }
}
