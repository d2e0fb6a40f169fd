import { LatentkitError } from '../platform/errors.js'
import { torchGenerator } from '../random/index.js'
import type { FeatureSet } from './feature-set.js'
import { checkFeatures, type Features } from './features.js'
import { frechetDistance } from './frechet-distance.js'
import { inceptionScore } from './inception-score.js'
import { drawSubsets, kernelDistance } from './kernel-distance.js'
import { precisionRecall } from './precision-recall.js'

/** What can be said of a set of pictures, most of it against another set. */
export const distributionMetrics = ['frechet', 'kernel', 'precision-recall', 'inception-score'] as const
/** The name of a measure of sets. */
export type DistributionMetric = (typeof distributionMetrics)[number]

/** One measured number, with all that it depends on. */
export interface Figure {
  readonly metric: string
  /** As it is printed: the network is part of it, and a published name stands there only for the published measure. */
  readonly name: string
  readonly value: number
  /** Deviation over splits or subsets, where there are several. */
  readonly deviation?: number
  /** The network that it was measured with. */
  readonly network?: string
  /** Pictures that it is of, and those that they are held against. */
  readonly pictures: number
  readonly reference?: number
  readonly better: 'higher' | 'lower'
}

/** Largest subset of the kernel distance, and how many are drawn where there are more pictures (Bińkowski et al. 2018). */
const subset = { size: 1000, count: 10 }

/**
 * Measures a set of pictures against a reference. Nothing is random but the subsets of the kernel distance and the order
 * of the Inception score's splits, both drawn from seed 0.
 *
 * @param prefix stands before names that are of sets: `r` for pictures that are reconstructions of the reference
 * @throws LatentkitError where the sets are of different networks, RangeError where there are too few pictures
 * @example
 * const figures = measure(await featureSet(extractor, generated), await featureSet(extractor, real), ['frechet'])
 */
export function measure(
  generated: FeatureSet,
  real: FeatureSet,
  metrics: readonly DistributionMetric[],
  { prefix = '' }: { prefix?: '' | 'r' } = {},
): Figure[] {
  if (generated.network !== real.network) {
    throw new LatentkitError(
      `Cannot compare features of ${generated.network} with those of ${real.network}: measure both with the same network`,
    )
  }
  return metrics.flatMap(metric => measures[metric](generated, real, prefix))
}

type Measure = (generated: FeatureSet, real: FeatureSet, prefix: string) => Figure[]

const measures: Readonly<Record<DistributionMetric, Measure>> = {
  frechet(generated, real, prefix) {
    const name = generated.published ? `${prefix}FID` : `${prefix && 'reconstruction '}Fréchet distance`
    const value = frechetDistance(generated.moments, real.moments)
    return [{ ...about('frechet', name, generated, real), value, better: 'lower' }]
  },
  kernel(generated, real, prefix) {
    const [a, b] = [rowsOf('the kernel distance', generated), rowsOf('the kernel distance', real)]
    const size = Math.min(subset.size, a.rows, b.rows)
    const count = size < subset.size ? 1 : subset.count
    const { mean, std } = kernelDistance(a, b, drawSubsets(a, b, { count, size, random: torchGenerator(0) }))
    const name = generated.published ? `${prefix}KID` : `${prefix && 'reconstruction '}kernel distance`
    return [
      { ...about('kernel', name, generated, real), value: mean, ...(count > 1 && { deviation: std }), better: 'lower' },
    ]
  },
  'precision-recall'(generated, real) {
    const { precision, recall } = precisionRecall(
      rowsOf('precision and recall', generated),
      rowsOf('precision and recall', real),
    )
    return [
      { ...about('precision', 'precision', generated, real), value: precision, better: 'higher' },
      { ...about('recall', 'recall', generated, real), value: recall, better: 'higher' },
    ]
  },
  'inception-score'(generated) {
    const { logits, published, network } = generated
    if (logits === undefined) {
      throw new LatentkitError(
        `Cannot compute a score of classes: ${network} is given without a classifier; use weights of Inception v3, VGG16 or SqueezeNet with theirs`,
      )
    }
    checkFeatures('the score of classes', 1, logits)
    const splits = Math.min(10, logits.rows)
    // TensorFlow's classifier has 1008 outputs; the score is of all, as in torch-fidelity.
    const { mean, std } = inceptionScore(logits, { splits, order: torchGenerator(0).randperm(logits.rows) })
    const name = published ? 'Inception score' : 'score of classes'
    const { reference: _, ...own } = about('inception-score', name, generated, generated)
    return [{ ...own, value: mean, deviation: std, better: 'higher' }]
  },
}

function rowsOf(what: string, { features }: FeatureSet): Features {
  if (features === undefined) {
    throw new LatentkitError(`Cannot compute ${what} from statistics: it needs the pictures; name their folder`)
  }
  return features
}

function about(metric: string, name: string, generated: FeatureSet, real: FeatureSet) {
  const { network, moments } = generated
  const reference = real.moments.rows
  return {
    metric,
    name: `${name} (${network})`,
    network,
    pictures: moments.rows ?? 0,
    ...(reference !== undefined && { reference }),
  }
}
