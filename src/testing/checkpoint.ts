import { type ModelConfig, modelConfig, trainedSize } from '../pipelines/model-config.js'
import { encodeImages } from '../pipelines/networks.js'
import { conditionProgram, decodingProgram, denoisingProgram } from '../pipelines/programs.js'
import { type Program, trace } from '../tensor/program.js'
import { sizeOf } from '../tensor/shape.js'
import { f32 } from '../tensor/tensor.js'
import { fromFloat32, type TensorData } from '../weights/dtypes.js'

type Json = Readonly<Record<string, unknown>>

/** All parameters of a model's networks, those of its encoder and of text encoders' last layers too. */
export function parametersOf(json: Json): Program['parameters'] {
  const config: ModelConfig = modelConfig.parse(json)
  const whole: ModelConfig = modelConfig.parse({ ...json, ...wholeTowers(json) })
  const size = { width: trainedSize(config), height: trainedSize(config) }
  const encoder = trace({ images: f32(1, 3, size.height, size.width) }, (at, { images }) => ({
    z: encodeImages(at, config, images!).mean,
  }))
  const programs = [
    denoisingProgram(config, size),
    decodingProgram(config, size),
    conditionProgram(whole, size),
    encoder,
  ]
  const all = programs.flatMap(program => program?.parameters ?? [])
  return [...new Map(all.map(parameter => [parameter.name, parameter])).values()]
}

/** The same conditions with the output of the last layers, which files hold though nothing may take it. */
function wholeTowers({ conditioning }: Json): Json {
  const { clip_text: text } = (conditioning ?? {}) as { clip_text?: Json }
  if (text === undefined) return {}
  const whole = (tower: Json) => ({ ...tower, layer: 'last', normalised: true })
  const { embedders } = text as { embedders?: Json[] }
  return {
    conditioning: {
      ...(conditioning as Json),
      clip_text: embedders ? { ...text, embedders: embedders.map(whole) } : whole(text),
    },
  }
}

/** Names and shapes of a published model's checkpoint, without any numbers. */
export const shapesOf = (json: Json): Map<string, { readonly shape: readonly number[] }> =>
  new Map(parametersOf(json).map(({ name, shape }) => [name, { shape }]))

/** A checkpoint with small numbers, the same every time. */
export const tinyWeights = (json: Json, dtype: 'F32' | 'F16' | 'BF16' = 'F32'): Map<string, TensorData> =>
  new Map(
    parametersOf(json).map(({ name, shape }, i) => {
      const length = sizeOf(shape)
      const fan = length / (shape[0] ?? 1)
      // A wave of another length for each tensor, as large as keeps activations in bounds.
      const values = new Float32Array(length)
      const scale = 1 / Math.sqrt(fan || 1)
      for (let j = 0; j < length; j++) values[j] = Math.sin(j * (1.3 + i * 0.01) + i) * scale
      return [name, fromFloat32(values, shape, dtype)]
    }),
  )
