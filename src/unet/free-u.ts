import { add, div, maximum, mul, sub } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import { matmul } from '../tensor/matmul.js'
import { max, mean, min } from '../tensor/reduce.js'
import { reshape, transpose } from '../tensor/reshape.js'
import { concat, split } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import type { UnetChange } from './changes.js'

/** How FreeU balances the way up: factors of what it carries and of what it is joined with. */
export interface FreeUSettings {
  /** Of half the channels that come from below, at four and at two times the network's own channels. */
  readonly backbone: readonly [number, number]
  /** Of the lowest frequencies of what the way down kept, at the same places. */
  readonly skip: readonly [number, number]
  /** 1: the same factor everywhere; 2: more of it where the map is high, as the final paper has it. */
  readonly version: 1 | 2
}

/**
 * FreeU (Si et al. 2023, eq. 4 to 8): what the way up carries is strengthened, the low frequencies that it is joined with
 * are weakened. Source: ChenyangSi/FreeU, demo/free_lunch_utils.py; ComfyUI, comfy_extras/nodes_freelunch.py.
 */
export function freeU(modelChannels: number, { backbone, skip, version }: FreeUSettings): UnetChange {
  return {
    join: plain => (h, kept) => {
      const stage = [4, 2].indexOf(h.shape[1]! / modelChannels)
      if (stage < 0) return plain(h, kept)
      return plain(strengthened(h, backbone[stage]!, version), scaledLow(kept, skip[stage]!))
    },
  }
}

/** The first half of the channels of h [batch, c, height, width] times b. */
function strengthened(h: Tensor, b: number, version: 1 | 2): Tensor {
  const [first, second] = split(h, 2, { axis: 1 }) as [Tensor, Tensor]
  return concat([mul(first, version === 1 ? b : add(mul(height01(h), b - 1), 1)), second], { axis: 1 })
}

/** The mean over channels, stretched to [0, 1] over each image: [batch, 1, height, width]. A flat one is 0. */
function height01(h: Tensor): Tensor {
  const map = mean(h, { axes: 1, keep: true })
  const [low, high] = [min, max].map(of => of(map, { axes: [2, 3], keep: true })) as [Tensor, Tensor]
  return div(sub(map, low), maximum(sub(high, low), 1e-12))
}

/** x [batch, c, height, width] with its lowest frequencies, 0 and -1 along each axis, times s. */
function scaledLow(x: Tensor, s: number): Tensor {
  const [batch, channels, height, width] = x.shape as [number, number, number, number]
  const waves = lowWaves(height, width)
  const basis = constant(waves.flat(), [waves.length, height * width])
  const flat = reshape(x, [batch, channels, height * width])
  const low = matmul(matmul(flat, transpose(basis)), basis)
  return add(x, reshape(mul(low, (s - 1) / (height * width)), x.shape))
}

/**
 * Cosines and sines of the frequencies that FreeU's mask holds, over all positions. The real part of the transform there
 * and back of these frequencies alone is the product with the waves and with them again.
 */
function lowWaves(height: number, width: number): number[][] {
  const frequencies = (size: number) => (size === 1 ? [0] : [0, -1])
  return frequencies(height).flatMap(u =>
    frequencies(width).flatMap(v => {
      const angles = Array.from({ length: height * width }, (_, i) => {
        return 2 * Math.PI * ((u * Math.floor(i / width)) / height + (v * (i % width)) / width)
      })
      const cosine = angles.map(Math.cos)
      return u === 0 && v === 0 ? [cosine] : [cosine, angles.map(Math.sin)]
    }),
  )
}
