import { joinPath, readBytes } from '#platform'
import { type Box, type ConditionsReader, greyLevels, inputsOf, type Place, stack } from '../../conditioning/index.js'
import {
  captionOf,
  type Dataset,
  type Draw,
  loadBatch,
  type PictureCache,
  pictureCache,
  readPicture,
} from '../../data/index.js'
import { decodePng } from '../../image/index.js'
import type { ModelConfig } from '../../pipelines/model-config.js'
import { placeOf } from '../../pipelines/programs.js'
import { FileError } from '../../platform/errors.js'
import type { TorchGenerator } from '../../random/index.js'
import type { HostTensors } from '../../runtime/index.js'
import type { DataSettings } from '../data-settings.js'

/** What chance decides for the conditions of a batch. */
export interface ConditionChance {
  /** Whether a sample goes without its conditions. */
  readonly dropped: (sample: number) => boolean
  /** A generator for each sample. */
  readonly random: (sample: number) => TorchGenerator
  /** Sentences instead of the pictures' own. */
  readonly captions?: readonly string[] | undefined
}

/** Makes the inputs of a model's conditions for some pictures, [batch, ...] each. */
export type ConditionBatches = (draws: readonly Draw[], chance: ConditionChance) => Promise<HostTensors>

/** Makes the inputs of a model's conditions from pictures and what is known of them. */
export function conditionBatches(
  config: ModelConfig,
  reader: ConditionsReader,
  dataset: Dataset,
  { size, flip }: Pick<DataSettings, 'size' | 'flip'>,
): ConditionBatches {
  const place = placeOf(config, { width: size, height: size })
  const specs = inputsOf(config.conditioning, place)
  if (Object.keys(specs).length === 0) return async () => ({})
  const cache = pictureCache()
  const sizes = new Map<number, ReturnType<typeof sizeOf>>()
  const sizeAt = (index: number) => {
    const known = sizes.get(index) ?? sizeOf(dataset, index)
    sizes.set(index, known)
    return known
  }
  return async (draws, { dropped, random, captions }) => {
    const numbers = await Promise.all(
      draws.map((draw, i) => {
        const picture = dataset.pictures[draw.index]!
        const mirrored = flip && draw.flip < 0.5
        const record = {
          index: draw.index,
          picture,
          mirrored,
          caption: captions?.[i] ?? captionOf(dataset, draw),
          random: random(i),
          pixels: () => pixelsOf(dataset, draw, { size, flip, cache }),
          size: () => sizeAt(draw.index),
          visible: async () => middleSquare(await sizeAt(draw.index)),
          map: () => mapOf(dataset, draw.index, mirrored, place),
        }
        return reader.ofRecord(record, place, dropped(i))
      }),
    )
    return stack(specs, numbers)
  }
}

async function pixelsOf(
  dataset: Dataset,
  draw: Draw,
  { size, flip, cache }: { size: number; flip: boolean; cache: PictureCache },
): Promise<Float32Array> {
  const transform = { size, crop: 'centre', flip, filter: 'bicubic' } as const
  return (await loadBatch(dataset, [draw], { transform, cache })).pixels
}

async function sizeOf(dataset: Dataset, index: number): Promise<{ width: number; height: number }> {
  const { width, height } = await readPicture(dataset.folder, dataset.pictures[index]!)
  return { width, height }
}

/** The middle square of a picture, which is what is trained on. */
function middleSquare({ width, height }: { width: number; height: number }): Box {
  const side = Math.min(width, height)
  return [(width - side) / width / 2, (height - side) / height / 2, side / width, side / height]
}

/** The classes of the pixels of the middle square, each the nearest one's, as the picture is brought to its size. */
async function mapOf(
  { folder, pictures }: Dataset,
  index: number,
  mirrored: boolean,
  { width, height }: Place,
): Promise<Uint8Array | undefined> {
  const { map, file } = pictures[index]!
  if (map === undefined) return undefined
  const path = joinPath(folder, map)
  const image = await decodePng(await readBytes(path), { file: path, numbers: true })
  const picture = await readPicture(folder, pictures[index]!)
  if (image.width !== picture.width || image.height !== picture.height) {
    throw new FileError(
      path,
      `has ${image.width}x${image.height} pixels and the picture ${file} ${picture.width}x${picture.height}; wanted is one size`,
    )
  }
  const levels = greyLevels(image, path)
  const side = Math.min(image.width, image.height)
  const [left, top] = [Math.floor((image.width - side) / 2), Math.floor((image.height - side) / 2)]
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const [column, row] = [i % width, Math.floor(i / width)]
    const x = left + Math.floor(((mirrored ? width - 1 - column : column) + 0.5) * (side / width))
    const y = top + Math.floor((row + 0.5) * (side / height))
    return levels[y * image.width + x]!
  })
}
