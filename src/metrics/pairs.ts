import { type Image, imageToPixels } from '../image/index.js'
import { perceptualDistance } from '../perceptual/distance.js'
import { type LpipsNetwork, lpips } from '../perceptual/lpips.js'
import { openLpips, openSqueezenet } from '../perceptual/weights.js'
import { LatentkitError } from '../platform/errors.js'
import type { SourceLike } from '../platform/types.js'
import { type Device, type Executable, hostTensor, type Weights } from '../runtime/index.js'
import { type Scope, trace } from '../tensor/program.js'
import { f32, type Tensor } from '../tensor/tensor.js'
import type { Figure } from './measure.js'
import { psnr } from './psnr.js'
import { ssim } from './ssim.js'

/** What can be said of pictures each of which should be like another one. */
export const pairMetrics = ['psnr', 'ssim', 'perceptual'] as const
/** The name of a measure of pairs. */
export type PairMetric = (typeof pairMetrics)[number]

/** How differently two pictures of one size look. */
export interface PerceptualMeasure extends AsyncDisposable {
  /** The measure's name with its network. */
  readonly name: string
  distance(a: Image, b: Image): Promise<number>
}

/**
 * LPIPS by the network and the heads in `files`, as published; without files the distance of the SqueezeNet that comes
 * with latentkit, which is no LPIPS and is not called so. Dispose of it when done.
 *
 * @throws FileError and LatentkitError for files that do not hold what LPIPS needs.
 */
export async function openPerceptual(device: Device, files: readonly SourceLike[] = []): Promise<PerceptualMeasure> {
  const { name, weights, build, close } = files.length > 0 ? await published(files) : await bundled()
  const compiled = new Map<string, Promise<Executable>>()
  return {
    name,
    async distance(a, b) {
      const { width, height } = a
      const key = `${width}x${height}`
      let run = compiled.get(key)
      if (run === undefined) {
        const picture = f32(1, 3, height, width)
        const program = trace({ a: picture, b: picture }, (at, inputs) => ({ distance: build(at, inputs.a, inputs.b) }))
        // Pictures of many sizes would fill the memory with programs.
        if (compiled.size >= mostSizes) await disposeAll(compiled)
        compiled.set(key, (run = device.compile(program, { weights })))
      }
      const pixels = (image: Image) => hostTensor(imageToPixels(image), [1, 3, height, width])
      const { distance } = await (await run)({ a: pixels(a), b: pixels(b) })
      return Number(distance!.data[0])
    },
    async [Symbol.asyncDispose]() {
      await disposeAll(compiled)
      await close()
    },
  }
}

const mostSizes = 4

async function disposeAll(compiled: Map<string, Promise<Executable>>): Promise<void> {
  for (const run of compiled.values()) await (await run).dispose()
  compiled.clear()
}

interface Distance {
  readonly name: string
  readonly weights: Weights
  readonly build: (at: Scope, a: Tensor, b: Tensor) => Tensor
  readonly close: () => Promise<void>
}

async function bundled(): Promise<Distance> {
  const file = await openSqueezenet()
  return {
    name: 'perceptual distance (SqueezeNet 1.1, not LPIPS)',
    weights: file,
    build: perceptualDistance,
    close: () => file.close(),
  }
}

async function published(files: readonly SourceLike[]): Promise<Distance> {
  const weights = await openLpips(files)
  const network = networkOf(weights)
  if (network === undefined || !weights.has('lin0.model.1.weight')) {
    throw new LatentkitError(
      'The files for LPIPS hold no network together with its heads; name two files: the network (torchvision’s vgg16, alexnet or squeezenet1_1) and its heads (lpips/weights/v0.1/NETWORK.pth)',
    )
  }
  const label = { vgg: 'VGG16', alex: 'AlexNet', squeeze: 'SqueezeNet 1.1' }[network]
  return {
    name: `LPIPS (${label})`,
    weights,
    build: (at, a, b) => lpips(at, a, b, { network }),
    close: async () => {},
  }
}

/** Told by what only one of them has. */
function networkOf(weights: { has(name: string): boolean }): LpipsNetwork | undefined {
  if (weights.has('features.12.expand3x3.weight')) return 'squeeze'
  if (weights.has('features.28.weight')) return 'vgg'
  return weights.has('features.10.weight') ? 'alex' : undefined
}

/** Takes pairs of pictures one by one; `figures` gives the means over all. */
export interface PairCollector {
  /** @throws RangeError for pictures of different sizes. */
  add(a: Image, b: Image): Promise<void>
  figures(): Figure[]
}

/** Collects measures of pairs; a pair that is met exactly counts 100 dB. `perceptual` is needed for that measure alone. */
export function collectPairs(metrics: readonly PairMetric[], perceptual?: PerceptualMeasure): PairCollector {
  const measures: Record<PairMetric, (a: Image, b: Image) => number | Promise<number>> = {
    psnr: (a, b) => Math.min(100, psnr(a, b)),
    ssim: (a, b) => ssim(a, b).mean,
    perceptual: (a, b) => perceptual!.distance(a, b),
  }
  const names = { psnr: 'PSNR', ssim: 'SSIM', perceptual: perceptual?.name ?? '' } as const
  const sums = metrics.map(metric => ({ metric, sum: 0 }))
  let count = 0
  return {
    async add(a, b) {
      for (const entry of sums) entry.sum += await measures[entry.metric](a, b)
      count++
    },
    figures: () =>
      sums.map(({ metric, sum }) => ({
        metric,
        name: names[metric],
        value: sum / count,
        pictures: count,
        reference: count,
        better: metric === 'perceptual' ? 'lower' : 'higher',
      })),
  }
}
