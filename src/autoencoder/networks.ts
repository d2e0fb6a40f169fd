import { conv2d } from '../nn/conv.js'
import type { Dropout } from '../nn/dropout.js'
import { silu } from '../tensor/activation.js'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import { tanh } from '../tensor/unary.js'
import { attend, downsample, normalize, resnetBlock, upsample } from './blocks.js'
import { type DdConfig, downsamplingFactor } from './config.js'

/** Images [batch, in_channels, h, w] -> [batch, z_channels, h/f, w/f], twice the channels with double_z. Source: model.py, Encoder. */
export function encoder(at: Scope, config: DdConfig, x: Tensor, masks?: Dropout): Tensor {
  checkImages(config, x)
  const { num_groups: groups } = config
  const dropout = config.dropout > 0 ? masks : undefined
  let size = config.resolution
  let h = conv2d(at('conv_in'), x, { out: config.ch, kernel: 3 })
  for (const [level, mult] of config.ch_mult.entries()) {
    const down = at(`down.${level}`)
    for (let i = 0; i < config.num_res_blocks; i++) {
      h = resnetBlock(down(`block.${i}`), h, { out: mult * config.ch, groups, dropout })
      if (config.attn_resolutions.includes(size)) h = attend(down(`attn.${i}`), h, config)
      down(`block.${i}`).mark(h)
    }
    if (level === config.ch_mult.length - 1) continue
    h = downsample(down('downsample'), h, config.resamp_with_conv)
    size = Math.floor(size / 2)
  }
  h = middle(at('mid'), config, h, dropout)
  const out = config.double_z ? 2 * config.z_channels : config.z_channels
  return conv2d(at('conv_out'), silu(normalize(at('norm_out'), h, groups)), { out, kernel: 3 })
}

/** Latents [batch, z_channels, h, w] -> images [batch, out_ch, f*h, f*w]. Source: model.py, Decoder. */
export function decoder(at: Scope, config: DdConfig, z: Tensor, masks?: Dropout): Tensor {
  const { num_groups: groups } = config
  const dropout = config.dropout > 0 ? masks : undefined
  const last = config.ch_mult.length - 1
  let size = Math.floor(config.resolution / 2 ** last)
  let h = conv2d(at('conv_in'), z, { out: config.ch * config.ch_mult[last]!, kernel: 3 })
  h = middle(at('mid'), config, h, dropout)
  for (let level = last; level >= 0; level--) {
    const up = at(`up.${level}`)
    for (let i = 0; i <= config.num_res_blocks; i++) {
      h = resnetBlock(up(`block.${i}`), h, { out: config.ch_mult[level]! * config.ch, groups, dropout })
      if (config.attn_resolutions.includes(size)) h = attend(up(`attn.${i}`), h, config)
      up(`block.${i}`).mark(h)
    }
    if (level === 0) continue
    h = upsample(up('upsample'), h, config.resamp_with_conv)
    size *= 2
  }
  if (config.give_pre_end) return h
  h = conv2d(at('conv_out'), silu(normalize(at('norm_out'), h, groups)), { out: config.out_ch, kernel: 3 })
  return config.tanh_out ? tanh(h) : h
}

/** The middle has attention whatever attn_resolutions says. */
function middle(at: Scope, config: DdConfig, x: Tensor, dropout: Dropout | undefined): Tensor {
  const block = { out: x.shape[1]!, groups: config.num_groups, dropout }
  const h = attend(at('attn_1'), resnetBlock(at('block_1'), x, block), config)
  return resnetBlock(at('block_2'), h, block)
}

function checkImages(config: DdConfig, x: Tensor): void {
  const [, channels, height, width] = x.shape
  const f = downsamplingFactor(config)
  if (x.shape.length !== 4 || channels !== config.in_channels) {
    throw new RangeError(
      `autoencoder: images have shape [${x.shape.join(', ')}], wanted [batch, ${config.in_channels}, height, width]`,
    )
  }
  if (height! % f !== 0 || width! % f !== 0) {
    throw new RangeError(
      `autoencoder: ${height}x${width} images do not shrink by ${f}: crop or resize to multiples of ${f}`,
    )
  }
}
