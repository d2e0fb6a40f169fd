import { type ModelConfig, modelConfig, trainedSize } from '../pipelines/model-config.js'
import { encodeImages } from '../pipelines/networks.js'
import { conditionProgram, decodingProgram, denoisingProgram } from '../pipelines/programs.js'
import { version } from '../platform/version.js'
import { trace } from '../tensor/program.js'
import { f32 } from '../tensor/tensor.js'
import { learnBpe, vocabularySize } from '../text/index.js'
import { encodeCheckpoint } from '../weights/checkpoint.js'
import { fromFloat32 } from '../weights/dtypes.js'
import { drawnParameters } from './parameters.js'

const vocabulary = learnBpe(['red heart', 'red car', 'blue heart'], 264)

/** A configuration of a whole model of 16x16 pixels, small enough to run in an instant. */
export function tinyConfig({ text = true } = {}): ModelConfig {
  return modelConfig.parse({
    first_stage_config: {
      embed_dim: 4,
      ddconfig: {
        z_channels: 4,
        resolution: 16,
        in_channels: 3,
        out_ch: 3,
        ch: 32,
        ch_mult: [1, 1],
        num_res_blocks: 1,
        attn_resolutions: [],
        attn_type: 'none',
      },
    },
    scale_factor: 0.5,
    shift_factor: [0.1, 0, -0.1, 0],
    unet_config: {
      image_size: 8,
      in_channels: 4,
      out_channels: 4,
      model_channels: 32,
      channel_mult: [1, 1],
      num_res_blocks: 1,
      attention_resolutions: [2],
      num_heads: 2,
      ...(text && { use_spatial_transformer: true, context_dim: 16 }),
    },
    ...(text && {
      conditioning: {
        text: {
          n_embed: 16,
          n_layer: 1,
          vocab_size: vocabularySize(vocabulary),
          max_seq_len: 8,
          heads: 2,
          dim_head: 8,
        },
      },
    }),
    diffusion: { parameterization: 'v', beta_schedule: 'cosine' },
  })
}

/** A few of CLIP's merges, as a checkpoint stores them. */
export const tinyClipVocabulary = { kind: 'clip', merges: '#version: 0.2\nr e\nre d</w>\nc a\nca r</w>\n' }
/** Rows of its table of tokens. */
export const tinyClipSize = 2 * 256 + 4 + 2

const vocabularyOf = ({ conditioning }: ModelConfig): object | undefined =>
  conditioning?.clip_text ? tinyClipVocabulary : conditioning?.text && vocabulary

/** A checkpoint of a model that was never trained, always with the same numbers. */
export function tinyCheckpoint(config = tinyConfig()): Uint8Array {
  const size = { width: trainedSize(config), height: trainedSize(config) }
  const stored = vocabularyOf(config)
  const encoding = trace({ images: f32(1, 3, size.height, size.width) }, (at, { images }) => ({
    ...encodeImages(at, config, images),
  }))
  const programs = [
    denoisingProgram(config, size),
    decodingProgram(config, size),
    conditionProgram(config, size) ?? [],
    encoding,
  ]
  const weights = programs
    .flat()
    .flatMap(program =>
      Object.entries(drawnParameters(program)).map(
        ([name, { data, shape }]) => [name, fromFloat32(Float32Array.from(data), shape)] as const,
      ),
    )
  const info = { library: version, config, ...(stored && { vocabulary: JSON.stringify(stored) }) }
  return encodeCheckpoint({ info, weights: new Map(weights) })
}
