import { conv2d } from '../nn/conv.js'
import type { Dropout } from '../nn/dropout.js'
import { zeros } from '../nn/initialisers.js'
import { linear } from '../nn/linear.js'
import { groupNorm } from '../nn/norm.js'
import { silu } from '../tensor/activation.js'
import { add, mul } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import { reshape } from '../tensor/reshape.js'
import { split } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { downsample, upsample } from './resample.js'

export interface ResidualOptions {
  /** Channels of the result; those of x by default. */
  out?: number
  /** The embedding scales and shifts the second normalisation instead of being added before it. */
  scaleShift: boolean
  resize?: 'up' | 'down'
  dropout?: Dropout | undefined
}

/** Residual block: x [batch, c, h, w], emb [batch, e] -> [batch, out, h, w], or twice or half the size. Source: openaimodel.py, ResBlock. */
export function residualBlock(at: Scope, x: Tensor, emb: Tensor, options: ResidualOptions): Tensor {
  const { out = x.shape[1]!, scaleShift, resize, dropout } = options
  const resized = (h: Tensor) => (resize === 'up' ? upsample(h) : resize === 'down' ? downsample(h) : h)

  let h = resized(silu(groupNorm(at('in_layers.0'), x)))
  h = conv2d(at('in_layers.2'), h, { out, kernel: 3 })
  const e = overPositions(linear(at('emb_layers.1'), silu(emb), { out: scaleShift ? 2 * out : out }))
  if (scaleShift) {
    const [scale, shift] = split(e, 2, { axis: 1 }) as [Tensor, Tensor]
    h = silu(add(mul(groupNorm(at('out_layers.0'), h), add(scale, 1)), shift))
  } else {
    h = silu(groupNorm(at('out_layers.0'), add(h, e)))
  }
  if (dropout) h = dropout(at('out_layers.2'), h)
  h = conv2d(at('out_layers.3'), h, { out, kernel: 3, init: zeros })
  const skip = resized(x)
  return add(skip.shape[1] === out ? skip : conv2d(at('skip_connection'), skip, { out, kernel: 1 }), h)
}

/** [batch, c] -> [batch, c, 1, 1]. */
const overPositions = (x: Tensor): Tensor => reshape(x, [...x.shape, 1, 1])
