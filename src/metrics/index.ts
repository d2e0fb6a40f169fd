export { type ClipOptions, type ClipScorer, clipFigure, openClip } from './clip-score.js'
export { type Extracted, type Extractor, type ExtractorOptions, openExtractor } from './extractor.js'
export {
  collectFeatures,
  type FeatureCollector,
  type FeatureSet,
  type FeatureSetOptions,
  featureSet,
} from './feature-set.js'
export type { Features } from './features.js'
export { frechetDistance } from './frechet-distance.js'
export { inceptionScore } from './inception-score.js'
export { drawSubsets, type KernelDistance, kernelDistance, type Subset } from './kernel-distance.js'
export { type DistributionMetric, distributionMetrics, type Figure, measure } from './measure.js'
export type { Moments } from './moments.js'
export {
  collectPairs,
  openPerceptual,
  type PairCollector,
  type PairMetric,
  type PerceptualMeasure,
  pairMetrics,
} from './pairs.js'
export { precisionRecall } from './precision-recall.js'
export { meanSquaredError, psnr, type Raster } from './psnr.js'
export { type Ssim, type SsimOptions, ssim } from './ssim.js'
export { readStatistics, writeStatistics } from './statistics-file.js'
