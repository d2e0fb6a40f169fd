import { interpolate, resizePlanes } from '../../image/index.js'
import type { TorchGenerator } from '../../random/index.js'
import { jpegPixels } from './jpeg.js'

/** Pixels [3, height, width] in [0, 1]. */
export interface Pixels {
  readonly data: Float32Array
  readonly width: number
  readonly height: number
}

type Chance = ReturnType<typeof chanceOf>
const chanceOf = (random: TorchGenerator) => ({
  uniform: (low: number, high: number) => low + (high - low) * random.rand64(1)[0]!,
  /** A whole number, both ends possible. */
  whole: (low: number, high: number) => low + Math.floor((high - low + 1) * random.rand64(1)[0]!),
  normals: (n: number) => random.randn(n),
  order: (n: number) => random.randperm(n),
})

/**
 * A picture made `factor` times smaller in one of the many ways in which pictures are spoilt: blur, two steps of
 * shrinking, noise and JPEG, in random order, and JPEG at last. Source: BSRGAN (Zhang et al. 2021) in the light form of
 * latent-diffusion, ldm/modules/image_degradation/bsrgan_light.py, degradation_bsrgan_variant.
 */
export function degrade(picture: Pixels, factor: number, random: TorchGenerator): Pixels {
  const chance = chanceOf(random)
  const wanted = { width: Math.floor(picture.width / factor), height: Math.floor(picture.height / factor) }
  let image = picture
  let left = factor
  if (factor === 4 && chance.uniform(0, 1) < 0.25) {
    image = shrunk(image, image.width >> 1, image.height >> 1, chance)
    left = 2
  }
  const blurs = (x: Pixels) => blur(x, left, chance)
  const shrinks = (x: Pixels) => someSize(x, left, chance)
  const brings = (x: Pixels) => shrunk(x, wanted.width, wanted.height, chance)
  const noises = (x: Pixels) => noise(x, chance)
  const spoils = (x: Pixels) => (chance.uniform(0, 1) < 0.9 ? jpeg(x, chance) : x)
  const order = Array.from(chance.order(5))
  // The step that brings the picture to its last size comes after the one of any size.
  const [first, second] = [order.indexOf(1), order.indexOf(2)]
  if (first > second) [order[first], order[second]] = [2, 1]
  for (const step of order) image = [blurs, shrinks, brings, noises, spoils][step]!(image)
  return jpeg(image, chance)
}

const clamped = (x: Pixels): Pixels => ({ ...x, data: x.data.map(value => Math.min(Math.max(value, 0), 1)) })

/** Another size by bilinear or bicubic interpolation without antialiasing, or by means, as OpenCV has them. */
function shrunk({ data, width, height }: Pixels, toWidth: number, toHeight: number, { whole }: Chance): Pixels {
  const size = { width: Math.max(1, toWidth), height: Math.max(1, toHeight) }
  const mode = (['bilinear', 'bicubic', 'area'] as const)[whole(0, 2)]!
  const from = { width, height }
  const out =
    mode === 'area'
      ? resizePlanes(data, from, size.width, size.height, { filter: 'box' })
      : interpolate(data, from, size, { mode })
  return clamped({ data: out, ...size })
}

/** Shrunk by a random factor up to twice what is due, or blurred and every n-th pixel taken. */
function someSize(image: Pixels, factor: number, chance: Chance): Pixels {
  if (chance.uniform(0, 1) < 0.8) {
    const by = chance.uniform(1, 2 * factor)
    return shrunk(image, Math.floor(image.width / by), Math.floor(image.height / by), chance)
  }
  const spread = chance.uniform(0.1, 0.6 * factor)
  // The kernel is moved so that the pixels taken stand for the middle of what they replace.
  const { data, width, height } = convolved(image, gaussian(25, spread, spread, 0, (factor - 1) / 2))
  const [w, h] = [Math.ceil(width / factor), Math.ceil(height / factor)]
  const taken = Float32Array.from({ length: 3 * w * h }, (_, i) => {
    const [x, y, c] = [i % w, Math.floor(i / w) % h, Math.floor(i / (w * h))]
    return data[(c * height + y * factor) * width + x * factor]!
  })
  return clamped({ data: taken, width: w, height: h })
}

function blur(image: Pixels, factor: number, { uniform, whole }: Chance): Pixels {
  if (uniform(0, 1) < 0.5) {
    const widest = (4 + factor) / 4
    const size = whole(2, 11) + 3
    // There l1 and l2 are variances along the two axes of an ellipse.
    const [a, b] = [Math.sqrt(widest * uniform(0, 1)), Math.sqrt(widest * uniform(0, 1))]
    return convolved(image, gaussian(size, a, b, uniform(0, Math.PI), 0))
  }
  const spread = ((2 + 0.2 * factor) / 4) * uniform(0, 1)
  return convolved(image, gaussian(whole(2, 4) + 3, spread, spread, 0, 0))
}

interface Kernel {
  readonly size: number
  readonly weights: Float64Array
}

/** Weights of a normal distribution with deviations a and b along axes turned by `angle`, its centre moved by `shift`. */
function gaussian(size: number, a: number, b: number, angle: number, shift: number): Kernel {
  const centre = (size - 1) / 2 + shift
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  const [va, vb] = [Math.max(a, 1e-2) ** 2, Math.max(b, 1e-2) ** 2]
  const weights = Float64Array.from({ length: size * size }, (_, i) => {
    const [x, y] = [(i % size) - centre, Math.floor(i / size) - centre]
    return Math.exp(-((x * cos + y * sin) ** 2 / va + (y * cos - x * sin) ** 2 / vb) / 2)
  })
  const sum = weights.reduce((total, weight) => total + weight, 0)
  // Narrower than a pixel and between two of them: all weights can vanish, the nearest pixel is what is left.
  if (sum < 1e-12) return { size: 1, weights: Float64Array.of(1) }
  return { size, weights: weights.map(weight => weight / sum) }
}

/** Each plane convolved, mirrored at the edges. */
function convolved({ data, width, height }: Pixels, { size, weights }: Kernel): Pixels {
  const out = new Float32Array(data.length)
  const half = size >> 1
  const mirrored = (i: number, n: number): number => {
    const period = Math.max(1, 2 * (n - 1))
    const at = ((i % period) + period) % period
    return at < n ? at : period - at
  }
  const columns = Int32Array.from({ length: width + size }, (_, i) => mirrored(i - half, width))
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let sum = 0
        for (let j = 0; j < size; j++) {
          const row = (c * height + mirrored(y + j - half, height)) * width
          for (let i = 0; i < size; i++) sum += weights[j * size + i]! * data[row + columns[x + i]!]!
        }
        out[(c * height + y) * width + x] = sum
      }
    }
  }
  return { data: out, width, height }
}

/** One or two levels of 255 of noise: of each channel by itself, of brightness, or of channels that go together. */
function noise({ data, width, height }: Pixels, { uniform, whole, normals }: Chance): Pixels {
  const level = whole(1, 2) / 255
  const kind = uniform(0, 1)
  const area = width * height
  if (kind > 0.6) {
    const drawn = normals(3 * area)
    return clamped({ data: data.map((value, i) => value + level * drawn[i]!), width, height })
  }
  if (kind < 0.4) {
    const drawn = normals(area)
    return clamped({ data: data.map((value, i) => value + level * drawn[i % area]!), width, height })
  }
  // A random mixture of three noises, which are as strong as the strongest above.
  const mix = Float64Array.from({ length: 9 }, () => uniform(-1, 1) / Math.sqrt(3))
  const drawn = normals(3 * area)
  const mixed = data.map((value, i) => {
    const [c, at] = [Math.floor(i / area), i % area]
    const sum = [0, 1, 2].reduce((total, k) => total + mix[3 * c + k]! * drawn[k * area + at]!, 0)
    return value + (2 / 255) * sum
  })
  return clamped({ data: mixed, width, height })
}

const jpeg = ({ data, width, height }: Pixels, { whole }: Chance): Pixels => ({
  data: jpegPixels(data, width, height, whole(80, 95)),
  width,
  height,
})
