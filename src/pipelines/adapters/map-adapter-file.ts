import { type MapAdapterConfig, mapAdapterConfigOf } from '../../conditioning/pictures/map-adapter-network.js'
import { locate } from '../../hub/index.js'
import { FileError } from '../../platform/errors.js'
import type { SourceLike } from '../../platform/types.js'
import { openWeights } from '../../weights/open-weights.js'
import { type Rename, renamedFile, underPrefix } from '../../weights/rename.js'
import { closingOnError, type TensorFile, type TensorInfo } from '../../weights/tensor-file.js'
import { factorOf, type ModelConfig } from '../model-config.js'

/** An opened T2I-adapter, by the original's names. */
export interface MapAdapterFile {
  readonly file: TensorFile<TensorInfo>
  readonly config: MapAdapterConfig
}

/**
 * Opens a T2I-adapter for a model, whether TencentARC or diffusers wrote it; close its file when done.
 *
 * @throws FileError where it is none, or one for another UNet.
 */
export async function openMapAdapter(from: SourceLike, model: ModelConfig): Promise<MapAdapterFile> {
  const given = await openWeights(await locate(from))
  return closingOnError(given, async () => {
    const inner = underPrefix(given, 'adapter.')
    const file = inner.tensors.size > 0 ? renamedFile(inner, fromDiffusers(inner.tensors), 'the T2I-adapter') : given
    const { channel_mult, model_channels } = model.unet_config!
    const config = mapAdapterConfigOf(file.tensors, channel_mult.length, factorOf(model))
    if (config === undefined) {
      throw new FileError(
        file.name,
        `is no T2I-adapter for a UNet of ${channel_mult.length} levels over latents ${factorOf(model)} times smaller than pictures`,
      )
    }
    const levels = channel_mult.map(mult => mult * model_channels)
    const wanted = config.xl ? [...levels, levels.at(-1)!] : levels
    if (wanted.some((channels, level) => channels !== config.channels[level])) {
      throw new FileError(
        file.name,
        `is a T2I-adapter for a UNet of ${config.channels.join(', ')} channels; this model's levels have ${wanted.join(', ')}`,
      )
    }
    return { file, config }
  })
}

/**
 * diffusers counts the blocks of each level from 0. Source: diffusers, models/adapter.py, FullAdapter and LightAdapter.
 */
function fromDiffusers(tensors: ReadonlyMap<string, TensorInfo>): Rename {
  const light = !tensors.has('conv_in.weight')
  const counted = new Set([...tensors.keys()].map(name => /^body\.0\.resnets\.(\d+)\./.exec(name)?.[1]))
  counted.delete(undefined)
  return (name, shape) => {
    const [, level, block, rest] = /^body\.(\d+)\.(?:resnets\.(\d+)\.)?(.+)$/.exec(name) ?? []
    if (rest === undefined) return { name, shape }
    if (light) return { name: block === undefined ? name : `body.${level}.body.${block}.${rest}`, shape }
    return { name: `body.${Number(level) * counted.size + Number(block ?? 0)}.${rest}`, shape }
  }
}
