import { z } from 'zod'
import type { LoadedPicture } from '../data/index.js'
import type { Image } from '../image/index.js'
import {
  collectFeatures,
  collectPairs,
  distributionMetrics,
  type FeatureSet,
  type Figure,
  featureSet,
  measure,
  openExtractor,
  openPerceptual,
  pairMetrics,
} from '../metrics/index.js'
import { LatentkitError } from '../platform/errors.js'
import type { Device } from '../runtime/index.js'
import type { Task } from './fit.js'

const count = z.int().positive()

const every = count
  .default(5000)
  .describe('steps between two measurements, which come with an evaluation: evaluate_every divides it')
const features = z
  .string()
  .optional()
  .describe('weights of the feature network as published; the bundled SqueezeNet if not given')

/** What is measured of samples during training, beside the held-out loss. */
export const figureSettings = z.strictObject({
  metrics: z
    .array(z.enum(distributionMetrics))
    .min(1)
    .default(['frechet'])
    .describe('of samples against held-out pictures'),
  every,
  samples: count.min(2).default(64).describe('pictures that are painted, and held-out ones that they are held against'),
  features,
})
export type FigureSettings = z.output<typeof figureSettings>

/** Measures samples during training. */
export interface Figures extends AsyncDisposable {
  /** The task whose evaluations hold the figures as well, by their names with the network, where they are due. */
  beside(task: Task, paint: (first: number, count: number) => Promise<readonly Image[]>): Task
}

/** Pictures painted at once. */
const batch = 8

/** Opens the feature network; LatentkitError, before any training, where there are too few held-out pictures to measure by. */
export async function openFigures(
  { metrics, every, samples, features: weights }: FigureSettings,
  { device, heldOut }: { device: Device; heldOut: (most: number) => Promise<readonly LoadedPicture[]> },
): Promise<Figures> {
  const pictures = await heldOut(samples)
  const fewest = metrics.includes('precision-recall') ? 4 : 2
  if (Math.min(pictures.length, samples) < fewest) {
    throw new LatentkitError(
      `evaluate: ${metrics.join(', ')} need ${fewest} samples and held-out pictures, there are ${samples} and ${pictures.length}; raise samples or data.held_out`,
    )
  }
  const extractor = await openExtractor(device, { weights })
  let real: Promise<FeatureSet> | undefined
  return {
    beside: (task, paint) => ({
      ...task,
      async evaluate(step) {
        const losses = await task.evaluate(step)
        if (step % every !== 0) return losses
        real ??= featureSet(
          extractor,
          pictures.map(({ image }) => image),
        )
        const painted = await featureSet(extractor, inBatches(paint, samples))
        const figures = measure(painted, await real, metrics)
        return { ...losses, ...byName(figures) }
      },
    }),
    [Symbol.asyncDispose]: () => extractor[Symbol.asyncDispose](),
  }
}

async function* inBatches(paint: (first: number, count: number) => Promise<readonly Image[]>, total: number) {
  for (let first = 0; first < total; first += batch) yield* await paint(first, Math.min(batch, total - first))
}

/** The settings with the places of files changed, as from a recipe's folder to the root. */
export function figuresAt<
  Settings extends { readonly features?: string | undefined; readonly lpips?: readonly string[] },
>(settings: Settings | undefined, at: (path: string) => string): Settings | undefined {
  const { features, lpips } = settings ?? {}
  return (
    settings && {
      ...settings,
      ...(features !== undefined && { features: at(features) }),
      ...(lpips && { lpips: lpips.map(at) }),
    }
  )
}

const byName = (figures: readonly Figure[]): Record<string, number> =>
  Object.fromEntries(figures.map(({ name, value }) => [name, value]))

/** What is measured of reconstructions during training, beside the held-out loss. */
export const stageFigureSettings = z.strictObject({
  metrics: z
    .array(z.enum([...distributionMetrics, ...pairMetrics]))
    .min(1)
    .default(['frechet', 'ssim'])
    .describe('of held-out pictures and what comes back of them'),
  every,
  features,
  lpips: z
    .array(z.string())
    .default([])
    .describe('LPIPS’ network and heads for "perceptual"; the bundled SqueezeNet if not given'),
})
export type StageFigureSettings = z.output<typeof stageFigureSettings>

/** Measures reconstructions during training. */
export interface StageFigures extends AsyncDisposable {
  beside(task: Task, pairs: () => AsyncIterable<readonly [original: Image, reconstruction: Image]>): Task
}

/** Opens the networks that the metrics want. */
export async function openStageFigures(settings: StageFigureSettings, device: Device): Promise<StageFigures> {
  const { metrics, every, features: weights, lpips } = settings
  const ofSets = distributionMetrics.filter(metric => metrics.includes(metric))
  const ofPairs = pairMetrics.filter(metric => metrics.includes(metric))
  const extractor = ofSets.length > 0 ? await openExtractor(device, { weights }) : undefined
  const perceptual = ofPairs.includes('perceptual') ? await openPerceptual(device, lpips) : undefined
  return {
    beside: (task, pairs) => ({
      ...task,
      async evaluate(step) {
        const losses = await task.evaluate(step)
        if (step % every !== 0) return losses
        const [before, after] = [extractor, extractor].map(network => network && collectFeatures(network))
        const compared = collectPairs(ofPairs, perceptual)
        for await (const [original, reconstruction] of pairs()) {
          await before?.add(original)
          await after?.add(reconstruction)
          await compared.add(original, reconstruction)
        }
        const sets = before && after && measure(await after.done(), await before.done(), ofSets, { prefix: 'r' })
        return { ...losses, ...byName([...(sets ?? []), ...compared.figures()]) }
      },
    }),
    async [Symbol.asyncDispose]() {
      await extractor?.[Symbol.asyncDispose]()
      await perceptual?.[Symbol.asyncDispose]()
    },
  }
}
