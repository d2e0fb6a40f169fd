export { Device, type DeviceName, type DeviceOptions, openDevice } from './device.js'
export { checkHalf } from './device-check.js'
export type { Executable, RunOptions } from './executable.js'
export { type ExportOptions, exportOnnx } from './export-onnx.js'
export { type HostTensor, type HostTensors, hostIntegers, hostTensor } from './host-tensor.js'
export { onlyProcess, type Processes } from './processes.js'
export type { Averaging, Optimiser, UpdateInputs } from './state/optimiser.js'
export type {
  AccumulateOptions,
  StartingParameter,
  StateOptions,
  StateSnapshot,
  TrainingState,
  TrainingStep,
  UpdateOptions,
} from './state/training.js'
export { keepTuning, type TunedUse } from './tuning/tune.js'
export { readTuning, writeTuning } from './tuning/tuning-cache.js'
export type { Weight, WeightSource, Weights } from './weights/numbers.js'
export { type WeightPrecision, weightPrecisions } from './weights/precision.js'
