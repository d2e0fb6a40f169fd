export type { Annotations, Box, Companion } from './annotations.js'
export { type Batch, captionOf, type LoadOptions, loadBatch, type TrainingBatch, trainingBatches } from './batches.js'
export { type BatchingOptions, type BatchState, batchSamples, type DataState, type Loaded } from './batching.js'
export { type BucketSettings, bucketSettings, bucketShapes, nearestShape } from './buckets.js'
export { type Dataset, type Picture, type Problem, readPicture } from './dataset.js'
export { contentDigest, type KnownDigests } from './digest.js'
export { type Draw, type DrawState, type Draws, drawByShape, drawPictures, fixedDraws } from './draws.js'
export { fingerprint, fingerprintOf } from './fingerprint.js'
export { type OpenFolderOptions, openFolder } from './folder.js'
export { folderSource } from './folder-source.js'
export { withHints } from './hints.js'
export { type FolderReport, inspectFolder, inspectSource } from './inspect.js'
export type { ParquetColumns } from './parquet/columns.js'
export { openParquet } from './parquet/parquet.js'
export { defaultCacheBytes, type PictureCache, pictureCache } from './picture-cache.js'
export {
  captionBy,
  decodeSample,
  heldOutPictures,
  inOneBatch,
  type LoadedPicture,
  loadPicture,
  loadPictures,
  type PictureBatch,
  type PictureOptions,
  pictureBatches,
  type TrainingPictures,
} from './pictures.js'
export { mapAhead, readAhead } from './read-ahead.js'
export { openShards } from './shards.js'
export {
  type Address,
  classOf,
  everySample,
  isHeldOut,
  type Sample,
  type Skipped,
  type Source,
  type SourceFile,
  samplesAt,
} from './source.js'
export { type Split, splitDataset } from './split.js'
export { chancesOf, type Drawn, drawSamples, heldOutSamples, noChance, type StreamState } from './stream.js'
export {
  boxesInView,
  type Chances,
  cropAndFlip,
  resizeShorterSide,
  type Transform,
  transformSchema,
  type View,
  viewOf,
  windowOf,
} from './transform.js'
