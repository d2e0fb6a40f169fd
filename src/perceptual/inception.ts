import { ones, torchDefault, zeros } from '../nn/initialisers.js'
import { linear } from '../nn/linear.js'
import { relu } from '../tensor/activation.js'
import { mul } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import { conv2d } from '../tensor/conv.js'
import { batchNormInference } from '../tensor/normalize.js'
import { averagePool2d, maxPool2d } from '../tensor/pool.js'
import type { Scope } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { concat } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'

export interface InceptionOptions {
  /**
   * `fid`: as TensorFlow's network of 2015-12-05 has it, by which FID is defined: averages leave the padding out, and the
   * last block takes maxima. `torchvision`: as torchvision has it.
   */
  readonly variant: 'fid' | 'torchvision'
  /** Of the last layer: 1008 and 1000 in the published weights. */
  readonly classes: number
  /** All widths over this, where they are not the published ones. */
  readonly thinner?: number | undefined
}

/** Inception v3's mean activations before the classifier, 2048 of them, and its logits. */
export interface InceptionOutputs {
  features: Tensor
  logits: Tensor
}

/**
 * Inception v3 (Szegedy et al. 2016) of images [batch, 3, 299, 299] in [-1, 1] (75x75 or more). Parameters by
 * torchvision's names, which pytorch-fid's `pt_inception-2015-12-05` has too.
 *
 * Source: torchvision, models/inception.py; pytorch-fid, inception.py (FIDInceptionA, C, E_1 and E_2).
 */
export function inception(at: Scope, images: Tensor, options: InceptionOptions): InceptionOutputs {
  const { variant, classes, thinner = 1 } = options
  const network = blocks(thinner, variant === 'fid' ? averageInside : averagePadded)
  const { unit } = network
  const pool = (x: Tensor) => maxPool2d(x, { kernel: 3, stride: 2 })

  let h = unit(at('Conv2d_1a_3x3'), images, 32, { kernel: 3, stride: 2, padding: 0 })
  h = unit(at('Conv2d_2a_3x3'), h, 32, { kernel: 3, padding: 0 })
  h = pool(unit(at('Conv2d_2b_3x3'), h, 64, { kernel: 3 }))
  h = unit(at('Conv2d_3b_1x1'), h, 80)
  h = pool(unit(at('Conv2d_4a_3x3'), h, 192, { kernel: 3, padding: 0 }))
  for (const [name, width] of [
    ['5b', 32],
    ['5c', 64],
    ['5d', 64],
  ] as const)
    h = network.a(at(`Mixed_${name}`), h, width)
  h = network.b(at('Mixed_6a'), h)
  for (const [name, width] of [
    ['6b', 128],
    ['6c', 160],
    ['6d', 160],
    ['6e', 192],
  ] as const) {
    h = network.c(at(`Mixed_${name}`), h, width)
  }
  h = network.d(at('Mixed_7a'), h)
  h = network.e(at('Mixed_7b'), h)
  h = network.e(
    at('Mixed_7c'),
    h,
    variant === 'fid' ? x => maxPool2d(x, { kernel: 3, stride: 1, padding: 1 }) : undefined,
  )
  const features = mean(h, { axes: [2, 3] })
  return { features, logits: linear(at('fc'), features, { out: classes }) }
}

interface UnitOptions {
  readonly kernel?: number | readonly [number, number]
  readonly stride?: number
  /** By default what keeps the size at stride 1. */
  readonly padding?: number
}

function blocks(thinner: number, average: (x: Tensor) => Tensor) {
  /** A convolution without bias, batch normalisation by running statistics, ReLU. */
  function unit(at: Scope, x: Tensor, width: number, { kernel = 1, stride = 1, padding }: UnitOptions = {}): Tensor {
    const out = width / thinner
    const channels = x.shape[1]!
    const [rows, columns] = typeof kernel === 'number' ? [kernel, kernel] : kernel
    const [down, across] = [padding ?? (rows - 1) / 2, padding ?? (columns - 1) / 2]
    const weight = at('conv').parameter(
      'weight',
      [out, channels, rows, columns],
      torchDefault(channels * rows * columns),
    )
    const h = conv2d(x, weight, undefined, { stride, padding: [down, across, down, across] })
    const statistic = (name: string, init = zeros) => at('bn').parameter(name, [out], init)
    const [scale, shift] = [statistic('weight', ones), statistic('bias')]
    const [running, variance] = [statistic('running_mean'), statistic('running_var', ones)]
    return relu(batchNormInference(h, scale, shift, running, variance, { epsilon: 1e-3 }))
  }
  /** Units one after the other; each has a name, a width and options. */
  const chain = (at: Scope, x: Tensor, units: readonly (readonly [string, number, UnitOptions?])[]): Tensor =>
    units.reduce((h, [name, width, options]) => unit(at(name), h, width, options), x)
  const beside = (parts: Tensor[]) => concat(parts, { axis: 1 })
  const halve = { kernel: 3, stride: 2, padding: 0 } as const
  const [flat, upright] = [{ kernel: [1, 7] }, { kernel: [7, 1] }] as const

  const a = (at: Scope, x: Tensor, pooled: number): Tensor =>
    beside([
      chain(at, x, [['branch1x1', 64]]),
      chain(at, x, [
        ['branch5x5_1', 48],
        ['branch5x5_2', 64, { kernel: 5 }],
      ]),
      chain(at, x, [
        ['branch3x3dbl_1', 64],
        ['branch3x3dbl_2', 96, { kernel: 3 }],
        ['branch3x3dbl_3', 96, { kernel: 3 }],
      ]),
      chain(at, average(x), [['branch_pool', pooled]]),
    ])
  const b = (at: Scope, x: Tensor): Tensor =>
    beside([
      chain(at, x, [['branch3x3', 384, halve]]),
      chain(at, x, [
        ['branch3x3dbl_1', 64],
        ['branch3x3dbl_2', 96, { kernel: 3 }],
        ['branch3x3dbl_3', 96, halve],
      ]),
      maxPool2d(x, { kernel: 3, stride: 2 }),
    ])
  const c = (at: Scope, x: Tensor, inner: number): Tensor =>
    beside([
      chain(at, x, [['branch1x1', 192]]),
      chain(at, x, [
        ['branch7x7_1', inner],
        ['branch7x7_2', inner, flat],
        ['branch7x7_3', 192, upright],
      ]),
      chain(at, x, [
        ['branch7x7dbl_1', inner],
        ['branch7x7dbl_2', inner, upright],
        ['branch7x7dbl_3', inner, flat],
        ['branch7x7dbl_4', inner, upright],
        ['branch7x7dbl_5', 192, flat],
      ]),
      chain(at, average(x), [['branch_pool', 192]]),
    ])
  const d = (at: Scope, x: Tensor): Tensor =>
    beside([
      chain(at, x, [
        ['branch3x3_1', 192],
        ['branch3x3_2', 320, halve],
      ]),
      chain(at, x, [
        ['branch7x7x3_1', 192],
        ['branch7x7x3_2', 192, flat],
        ['branch7x7x3_3', 192, upright],
        ['branch7x7x3_4', 192, halve],
      ]),
      maxPool2d(x, { kernel: 3, stride: 2 }),
    ])
  const e = (at: Scope, x: Tensor, pool = average): Tensor => {
    const fork = (h: Tensor, name: string) =>
      beside([unit(at(`${name}a`), h, 384, { kernel: [1, 3] }), unit(at(`${name}b`), h, 384, { kernel: [3, 1] })])
    return beside([
      chain(at, x, [['branch1x1', 320]]),
      fork(chain(at, x, [['branch3x3_1', 384]]), 'branch3x3_2'),
      fork(
        chain(at, x, [
          ['branch3x3dbl_1', 448],
          ['branch3x3dbl_2', 384, { kernel: 3 }],
        ]),
        'branch3x3dbl_3',
      ),
      chain(at, pool(x), [['branch_pool', 192]]),
    ])
  }
  return { unit, a, b, c, d, e }
}

const averagePadded = (x: Tensor): Tensor => averagePool2d(x, { kernel: 3, stride: 1, padding: 1 })

/** Means of 3x3 positions without those outside. */
function averageInside(x: Tensor): Tensor {
  const [height, width] = x.shape.slice(2) as [number, number]
  const inside = (i: number, size: number) => 3 - (i === 0 ? 1 : 0) - (i === size - 1 ? 1 : 0)
  const factors = Float32Array.from(
    { length: height * width },
    (_, i) => 9 / (inside(Math.floor(i / width), height) * inside(i % width, width)),
  )
  return mul(averagePadded(x), constant(factors, [1, 1, height, width]))
}
