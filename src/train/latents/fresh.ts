import { latentChannels } from '../../autoencoder/config.js'
import type { Transform } from '../../data/index.js'
import { flipHorizontal } from '../../image/index.js'
import { factorOf } from '../../pipelines/model-config.js'
import { FileError } from '../../platform/errors.js'
import type { LatentDraw, LatentOptions, LatentShape, Latents } from './contract.js'
import { lazyEncoder } from './encoding.js'
import { type Look, looksAgain, sightsOver } from './sights.js'

/**
 * Latents of random crops, which are others each time: encoded when they are read, nothing is kept.
 *
 * Throws FileError unless the source is a folder, whose pictures can be read in any order.
 */
export function freshLatents(options: LatentOptions): Latents {
  const { source, size, flip, shares, config, sights = [] } = options
  const { pictures } = source
  if (pictures === undefined)
    throw new FileError(
      source.name,
      'is read from its beginning to its end; random crops (min_crop_f) of a diffusion model want a folder of pictures',
    )
  const transform: Transform = { size, shares, crop: 'random', flip, filter: 'bicubic' }
  const records = pictures.map((_, i) => ({ at: [i, 0] as const }))
  const again = looksAgain(source, records, { transform, sights })
  // What a step reads and what its conditions look at is one crop, decoded once.
  const looks = new WeakMap<LatentDraw, Promise<Look>>()
  const look = (draw: LatentDraw) => {
    const found = looks.get(draw) ?? again(draw)
    looks.set(draw, found)
    return found
  }
  const encoder = lazyEncoder(options)
  const side = size / factorOf(config)
  const shape: LatentShape = [latentChannels(config.first_stage_config), side, side]
  return {
    shape,
    shapeOf: () => shape,
    dataset: {
      ...{ folder: source.name, pictures, labels: source.labels },
      ...{ brokenCaptions: [], skipped: source.skipped.examples },
    },
    ...sightsOver(look, transform),
    async read(draws) {
      const images = await Promise.all(
        draws.map(async draw => {
          const { image } = await look(draw)
          return flip && draw.flip < 0.5 ? flipHorizontal(image) : image
        }),
      )
      const { mean, logvar } = await encoder(images)
      return { shape, means: mean, deviations: logvar.map(value => Math.exp(value / 2)) }
    },
    close: encoder.dispose,
  }
}
