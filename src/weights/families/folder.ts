import type { Checkpoint } from '../checkpoint.js'
import { type DiffusersFolder, type TowerConfig, usualScale } from '../diffusers/index.js'
import { storedTensors } from '../stored.js'
import type { ConfigJson } from './family.js'
import { checkpointWith, type ForeignOptions, foreignCheckpoint, recognised } from './foreign.js'
import { originalNames } from './original-names.js'
import { recognise } from './recognise.js'

/**
 * Takes over an opened folder of diffusers. Its family is told by its tensors, as that of any file; of the configuration
 * the folder's own words come first.
 *
 * @throws FileError where it is of no known family.
 */
export async function folderCheckpoint(folder: DiffusersFolder, options: ForeignOptions = {}): Promise<Checkpoint> {
  if (options.config !== undefined) return foreignCheckpoint(folder, options)
  const weights = originalNames(storedTensors(folder))
  const first = recognised(folder.name, weights, undefined)
  const { diffusion, unet, firstStage, scaleFactor, merges } = folder
  if (unet === undefined)
    return checkpointWith(folder, weights, { ...first, config: { ...first.config, first_stage_config: firstStage } })
  const predictsV = diffusion?.parameterization === 'v'
  const { family, config } = first.family.name === 'sd2' && predictsV ? recognise(weights, 'sd2-v')! : first
  const { image_size } = config.unet_config as ConfigJson
  const conditioning = config.conditioning as ConfigJson | undefined
  return checkpointWith(folder, weights, {
    family,
    config: {
      ...config,
      first_stage_config: firstStage,
      scale_factor: scaleFactor ?? usualScale(firstStage),
      unet_config: { image_size, ...unet },
      ...(conditioning && { conditioning: { ...conditioning, ...textOf(conditioning, folder) } }),
      ...(diffusion && { diffusion }),
    },
    ...(merges !== undefined && { vocabulary: JSON.stringify({ kind: 'clip', merges }) }),
  })
}

/** The words of text encoders with what the folder says of them. */
function textOf({ clip_text }: ConfigJson, { towers, bert }: DiffusersFolder): ConfigJson {
  return {
    ...(clip_text !== undefined && { clip_text: clipTextOf(clip_text as ConfigJson, towers) }),
    ...(bert && { text: bert }),
  }
}

/** A single one's output is its last layer's, pipelines have no other. */
function clipTextOf(words: ConfigJson, towers: readonly TowerConfig[]): ConfigJson {
  const { embedders } = words
  if (!Array.isArray(embedders)) return { ...words, ...towers[0], layer: 'last' }
  return { ...words, embedders: embedders.map((embedder: ConfigJson, i) => ({ ...embedder, ...towers[i] })) }
}
