import * as operations from './tensor/ops.js'

export { checkpoint, grad } from './autodiff/index.js'
export {
  type ConditioningConfig,
  type ConditioningName,
  conditionings,
  type Neighbours,
} from './conditioning/index.js'
export { type SamplingSchedule, schedules } from './diffusion/index.js'
export { type PullEvent, type PullOptions, pull } from './hub/index.js'
export type { Image, Parameters } from './image/index.js'
export { decodeImage, describePng, encodePng, formatParameters } from './image/index.js'
export {
  type ClipOptions,
  type ClipScorer,
  collectFeatures,
  collectPairs,
  type DistributionMetric,
  type Extracted,
  type Extractor,
  type ExtractorOptions,
  type FeatureCollector,
  type FeatureSet,
  type FeatureSetOptions,
  type Features,
  type Figure,
  featureSet,
  frechetDistance,
  type Moments,
  measure,
  openClip,
  openExtractor,
  openPerceptual,
  type PairCollector,
  type PairMetric,
  type PerceptualMeasure,
  psnr,
  type Raster,
  readStatistics,
  type Ssim,
  type SsimOptions,
  ssim,
  writeStatistics,
} from './metrics/index.js'
export { type Adaptation, adaptModel, type Lora } from './pipelines/adapters/adapted-model.js'
export type { ImagePromptFiles } from './pipelines/adapters/image-prompt-files.js'
export type { Weighed } from './pipelines/adapters/networks-beside.js'
export {
  type Converted,
  type ConvertOptions,
  convert,
  type ExportFormat,
  type WeightType,
  writeCompvis,
  writeDiffusers,
} from './pipelines/export/index.js'
export type { GenerateEvent, GenerateOptions, Generation } from './pipelines/generation/events.js'
export type { GeneratedImage } from './pipelines/generation/generated-image.js'
export type { Latents } from './pipelines/generation/latents.js'
export { type CheckpointModel, checkpointModel } from './pipelines/loading/checkpoint-model.js'
export { type LoadOptions, load } from './pipelines/loading/load.js'
export type { ModelFileOptions } from './pipelines/loading/model-file.js'
export type { OtherFiles } from './pipelines/loading/other-files.js'
export type { FirstStageOptions, MemoryOptions, Model } from './pipelines/model.js'
export { type ModelConfig, modelConfig } from './pipelines/model-config.js'
export type { GenerateSettings } from './pipelines/settings/index.js'
export { settingsOf } from './pipelines/settings/parameters.js'
export { depthToImage } from './pipelines/tasks/depth-to-image.js'
export { hires } from './pipelines/tasks/hires.js'
export { imageToImage } from './pipelines/tasks/image-to-image.js'
export { inpaint } from './pipelines/tasks/inpaint.js'
export { interpolate } from './pipelines/tasks/interpolate.js'
export type { TaskName } from './pipelines/tasks/names.js'
export { outpaint } from './pipelines/tasks/outpaint.js'
export { panorama } from './pipelines/tasks/panorama.js'
export { tasks } from './pipelines/tasks/table.js'
export type { Task, TaskOptions } from './pipelines/tasks/task.js'
export { upscale } from './pipelines/tasks/upscale.js'
export { variations } from './pipelines/tasks/variations.js'
export { FileError, LatentkitError, LostProcessError } from './platform/errors.js'
export { version } from './platform/version.js'
export {
  type Device,
  type DeviceName,
  type DeviceOptions,
  type Executable,
  type ExportOptions,
  exportOnnx,
  type HostTensor,
  hostIntegers,
  hostTensor,
  openDevice,
  type Processes,
  type WeightPrecision,
} from './runtime/index.js'
export { type Profile, type ProfileName, profiles, type SamplerName, samplers } from './samplers/index.js'
export { SchemaError } from './schema/index.js'
export { type Program, type Scope, trace } from './tensor/program.js'
export { bool, type Dtype, f16, f32, i64, type Spec, type Tensor } from './tensor/tensor.js'
export {
  a1111Weights,
  comfyuiWeights,
  type PromptPhrase,
  type PromptStage,
  type PromptSteps,
  type PromptStyleName,
  promptPhrases,
  promptStages,
  type WeightedText,
} from './text/prompt/index.js'
export {
  type ControlNetRecipe,
  controlNetRecipe,
  type DreamboothRecipe,
  dreamboothRecipe,
  type FineTuneOptions,
  type LoraRecipe,
  loraRecipe,
  type TextualInversionRecipe,
  textualInversionRecipe,
  trainControlNet,
  trainDreambooth,
  trainLora,
  trainTextualInversion,
} from './train/adapters/index.js'
export { type ClassifierRecipe, classifierRecipe } from './train/classifier/recipe.js'
export { type TrainClassifierOptions, trainClassifier } from './train/classifier/train-classifier.js'
export { type DiffusionRecipe, diffusionRecipe } from './train/diffusion/recipe.js'
export { type TrainDiffusionOptions, trainDiffusion } from './train/diffusion/train-diffusion.js'
export type { TrainEvent } from './train/events.js'
export { type AutoencoderRecipe, autoencoderRecipe } from './train/first-stage/recipe.js'
export { type TrainOptions, trainAutoencoder } from './train/first-stage/train-autoencoder.js'
export { DivergedError } from './train/fit.js'
export { checkpointAt as openCheckpoint } from './train/learner.js'
export type { Checkpoint, CheckpointInfo } from './weights/checkpoint.js'
export { toFloat32 } from './weights/dtypes.js'
export { openWeights } from './weights/open-weights.js'
export type { StoredTensor, TensorFile, TensorInfo } from './weights/tensor-file.js'

/**
 * The operations of the language that models are written in: functions of symbolic tensors, whose shapes are checked as
 * the model is written.
 *
 * @example
 * const program = trace({ x: f32(2, 3) }, (_, { x }) => ({ loss: ops.mean(ops.square(x)) }))
 */
export const ops = operations
