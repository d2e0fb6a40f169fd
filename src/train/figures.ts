import { z } from 'zod'
import type { LoadedPicture } from '../data/index.js'
import type { Image } from '../image/index.js'
import { distributionMetrics, type FeatureSet, featureSet, measure, openExtractor } from '../metrics/index.js'
import type { Device } from '../runtime/index.js'
import type { Task } from './fit.js'

const count = z.int().positive()

/** What is measured of samples during training, beside the held-out loss. */
export const figureSettings = z.strictObject({
  metrics: z
    .array(z.enum(distributionMetrics))
    .min(1)
    .default(['frechet'])
    .describe('of samples against held-out pictures'),
  every: count
    .default(5000)
    .describe('steps between two measurements, which come with an evaluation: evaluate_every divides it'),
  samples: count.min(2).default(64).describe('pictures that are painted, and held-out ones that they are held against'),
  features: z
    .string()
    .optional()
    .describe('weights of the feature network as published; the bundled SqueezeNet if not given'),
})
export type FigureSettings = z.output<typeof figureSettings>

/** Measures samples during training. */
export interface Figures extends AsyncDisposable {
  /** The task whose evaluations hold the figures as well, by their names with the network, where they are due. */
  beside(task: Task, paint: (first: number, count: number) => Promise<readonly Image[]>): Task
}

/** Pictures painted at once. */
const batch = 8

/** Opens the feature network; held-out pictures are looked at once, when they are first wanted. */
export async function openFigures(
  { metrics, every, samples, features: weights }: FigureSettings,
  { device, heldOut }: { device: Device; heldOut: (most: number) => Promise<readonly LoadedPicture[]> },
): Promise<Figures> {
  const extractor = await openExtractor(device, { weights })
  let real: Promise<FeatureSet> | undefined
  return {
    beside: (task, paint) => ({
      ...task,
      async evaluate(step) {
        const losses = await task.evaluate(step)
        if (step % every !== 0) return losses
        real ??= heldOut(samples).then(pictures =>
          featureSet(
            extractor,
            pictures.map(({ image }) => image),
          ),
        )
        const painted = await featureSet(extractor, inBatches(paint, samples))
        const figures = measure(painted, await real, metrics)
        return { ...losses, ...Object.fromEntries(figures.map(({ name, value }) => [name, value])) }
      },
    }),
    [Symbol.asyncDispose]: () => extractor[Symbol.asyncDispose](),
  }
}

async function* inBatches(paint: (first: number, count: number) => Promise<readonly Image[]>, total: number) {
  for (let first = 0; first < total; first += batch) yield* await paint(first, Math.min(batch, total - first))
}
