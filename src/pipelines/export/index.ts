export { type Converted, type ConvertOptions, convert } from './convert.js'
export { writeDiffusers } from './diffusers.js'
export { type ExportFormat, exportFormatNames, exportFormats, formatOfPath, writeCompvis } from './formats.js'
export { type WeightType, weightTypes } from './types.js'
