import type { Names } from './names.js'

/** What keys and shapes tell of an autoencoder, in the words of CompVis; `n_embed` is a codebook's. */
export interface AutoencoderWords {
  readonly ddconfig: {
    readonly double_z: boolean
    readonly z_channels: number
    readonly resolution: number
    readonly in_channels: number
    readonly out_ch: number
    readonly ch: number
    readonly ch_mult: number[]
    readonly num_res_blocks: number
    readonly attn_resolutions: number[]
    readonly dropout: number
    readonly resamp_with_conv?: false
    readonly attn_type?: 'none' | 'linear'
  }
  readonly embed_dim: number
  readonly n_embed?: number
}

/** TAESD in the words of taesd.py. */
export interface TaesdWords {
  readonly latent_channels: number
  readonly width: number
  readonly use_midblock_gn: boolean
}

export type FirstStageWords = AutoencoderWords | TaesdWords

/** All published ones were trained at this size; where attention is refers to it. */
const resolution = 256

/** Reads the words of a first stage off its tensors; undefined where it is none. `at` stands before its own names. */
export const firstStageWords = (names: Names, at: string): FirstStageWords | undefined =>
  autoencoderWords(names, at) ?? taesdWords(names, at)

function autoencoderWords(names: Names, at: string): AutoencoderWords | undefined {
  const weight = (module: string) => names.shape(`${at}${module}.weight`)
  const [into, out, z, moments, latents] = [
    'encoder.conv_in',
    'decoder.conv_out',
    'decoder.conv_in',
    'encoder.conv_out',
    'post_quant_conv',
  ].map(weight)
  if (!into || !out || !z || !moments || !latents) return undefined
  const [ch, in_channels] = into as [number, number]
  const levels = names.count(`${at}encoder.down`)
  const middle = `${at}encoder.mid.attn_1`
  const codes = weight('quantize.embedding')?.[0]
  const double_z = moments[0] === 2 * z[1]!
  // Neither moments nor codes that are looked up: a codebook of another kind, as Gumbel's.
  if (!double_z && codes === undefined) return undefined
  const attention = !names.has(middle) ? 'none' : names.has(`${middle}.to_qkv`) ? 'linear' : undefined
  const each = Array.from({ length: levels }, (_, level) => level)
  return {
    ddconfig: {
      double_z,
      z_channels: z[1]!,
      resolution,
      in_channels,
      out_ch: out[0]!,
      ch,
      ch_mult: each.map(level => (weight(`encoder.down.${level}.block.0.conv2`)?.[0] ?? 0) / ch),
      num_res_blocks: names.count(`${at}encoder.down.0.block`),
      attn_resolutions: each.flatMap(level =>
        names.has(`${at}encoder.down.${level}.attn`) ? [resolution / 2 ** level] : [],
      ),
      dropout: 0,
      ...(levels > 1 && !names.has(`${at}encoder.down.0.downsample.conv`) && { resamp_with_conv: false }),
      ...(attention && { attn_type: attention }),
    },
    embed_dim: latents[1]!,
    ...(codes !== undefined && { n_embed: codes }),
  }
}

/** One half is enough to tell, for its two files are mostly apart. */
function taesdWords(names: Names, at: string): TaesdWords | undefined {
  const into = names.shape(`${at}decoder.1.weight`)
  const out = names.shape(`${at}encoder.14.weight`)
  const [width, latent_channels] = into ?? [out?.[1], out?.[0]]
  if (width === undefined || latent_channels === undefined) return undefined
  return {
    latent_channels,
    width,
    use_midblock_gn: names.has(`${at}decoder.3.pool`) || names.has(`${at}encoder.11.pool`),
  }
}
