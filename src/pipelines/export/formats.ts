import { LatentkitError } from '../../platform/errors.js'
import { version } from '../../platform/version.js'
import { checkpointMetadata, writeCheckpoint } from '../../weights/checkpoint.js'
import { writeGguf } from '../../weights/gguf/write.js'
import { writeSafetensors } from '../../weights/safetensors.js'
import { writeTorchFile } from '../../weights/torch/write.js'
import { writeDiffusers } from './diffusers.js'
import { type Exported, oneScale, scaledWeights, weightsOf } from './exported.js'
import { inGgufType, inType, isConstant, type WeightType } from './types.js'

interface WriteOptions {
  /** As the weights are if left out. */
  readonly dtype?: WeightType | undefined
}

/**
 * Writes a model as CompVis' code loads it: one .safetensors file by the original names. There is one scale for all
 * latents there and no shift: where a model has more, they go into the convolutions around the latents.
 *
 * @throws LatentkitError where that is wanted and the first stage is no KL autoencoder, FileError where the file cannot be written.
 */
export async function writeCompvis(model: Exported, path: string, { dtype }: WriteOptions = {}): Promise<void> {
  await writeSafetensors(path, inType(singleFile(model), dtype), new Map([['format', 'pt'], ...wordsOf(model)]))
}

/** The configuration of what latentkit trained, which no tensor tells; with the scale that its written latents have. */
function wordsOf({ checkpoint: { origin, info }, config }: Exported): [string, string][] {
  if (origin || config.unet_config === undefined) return []
  const scaled = oneScale(config) === undefined && { scale_factor: 1, shift_factor: 0 }
  return [...checkpointMetadata({ ...info, config: { ...info.config, ...scaled } })]
}

/** The same in torch's format, with the tensors below `state_dict`. */
async function writeCkpt(model: Exported, path: string, { dtype }: WriteOptions): Promise<void> {
  await writeTorchFile(path, { state_dict: Object.fromEntries(inType(singleFile(model), dtype)) })
}

/** A first stage alone is called as it is in its own checkpoints. */
function singleFile(model: Exported) {
  const prefix = 'first_stage_model.'
  const weights = scaledWeights(model)
  if (model.config.unet_config !== undefined) return weights
  return new Map([...weights].map(([name, t]) => [name.startsWith(prefix) ? name.slice(prefix.length) : name, t]))
}

/** llama.h, llama_ftype, whose numbers other tools of ggml show. */
const fileTypes: Readonly<Record<WeightType, number>> = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q4_1: 3,
  q8_0: 7,
  q5_0: 8,
  q5_1: 9,
  bf16: 32,
}

/** One GGUF file by the original names; what latentkit trained carries its configuration, for no tensor tells it. */
async function writeModelGguf(model: Exported, path: string, { dtype }: WriteOptions): Promise<void> {
  const { origin, info } = model.checkpoint
  const family = origin?.family?.name ?? 'latentkit'
  const values = new Map<string, string | number>([
    ['general.architecture', /^(sd1|sd2|sdxl)/.exec(family)?.[0] ?? family],
    ...(dtype ? ([['general.file_type', fileTypes[dtype]]] as const) : []),
    ['general.quantization_version', 2],
    ...(origin ? [] : checkpointMetadata(info)),
  ])
  await writeGguf(path, inGgufType(origin ? singleFile(model) : weightsOf(model), dtype), values)
}

/** latentkit's own, which is alone enough to generate: weights, configuration and vocabulary. */
async function writeOwn(model: Exported, path: string, { dtype }: WriteOptions): Promise<void> {
  const needed = [...weightsOf(model)].filter(([name]) => !isConstant(name) && !name.startsWith('model_ema.'))
  const info = model.checkpoint.origin ? { ...model.checkpoint.info, library: version } : model.checkpoint.info
  await writeCheckpoint(path, { info, weights: inType(new Map(needed), dtype) })
}

/** The formats that a model can be written in, by the names of the command line. */
export const exportFormats = {
  compvis: { what: "one .safetensors file by the names of CompVis' and Stability's code", write: writeCompvis },
  ckpt: { what: 'the same in the format of torch, .ckpt', write: writeCkpt },
  gguf: { what: 'one GGUF file, as stable-diffusion.cpp loads it', write: writeModelGguf },
  diffusers: { what: 'a folder of diffusers', write: writeDiffusers },
  latentkit: { what: 'one .safetensors file with all that latentkit needs', write: writeOwn },
} as const satisfies Record<
  string,
  { what: string; write: (model: Exported, path: string, options: WriteOptions) => Promise<void> }
>
/** The name of a format that a model can be written in. */
export type ExportFormat = keyof typeof exportFormats
export const exportFormatNames = Object.keys(exportFormats) as [ExportFormat, ...ExportFormat[]]

const endings: readonly (readonly [RegExp, ExportFormat])[] = [
  [/\.safetensors$/i, 'compvis'],
  [/\.(ckpt|pt|pth|bin)$/i, 'ckpt'],
  [/\.gguf$/i, 'gguf'],
]

/** The format that a path's name asks for; a LatentkitError where it has an ending of something else. */
export function formatOfPath(path: string): ExportFormat {
  const found = endings.find(([ending]) => ending.test(path))
  if (found) return found[1]
  const other = /\.(onnx|h5|msgpack|json|yaml|zip|png)$/i.exec(path)
  if (other)
    throw new LatentkitError(`A model is not written as ${other[0]}: wanted is .safetensors, .ckpt, .gguf or a folder`)
  return 'diffusers'
}
