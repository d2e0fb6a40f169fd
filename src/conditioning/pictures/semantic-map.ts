import { z } from 'zod'
import { greyLevels, type Image } from '../../image/index.js'
import { torchDefault } from '../../nn/initialisers.js'
import { FileError, LatentkitError } from '../../platform/errors.js'
import { gather } from '../../tensor/gather.js'
import { averagePool2d } from '../../tensor/pool.js'
import { reshape, transpose } from '../../tensor/reshape.js'
import { i64 } from '../../tensor/tensor.js'
import type { Conditioning, Place } from '../contract.js'
import { checkSize, mapField, pictureOf } from '../fields.js'

const count = z.int().positive()
const config = z.strictObject({
  in_channels: count.max(256).describe('number of classes: grey levels of the maps are 0 to one less'),
  out_channels: count.default(3).describe('channels that the classes become'),
  n_stages: z.int().nonnegative().describe('how often the map is halved, to the size of the latents'),
  names: z.array(z.string()).optional().describe('of the classes, in the order of their numbers'),
})
type Config = z.output<typeof config>

/** A class for each pixel, beside the latents. Source: ldm/modules/encoders/modules.py, SpatialRescaler. */
export const semanticMap = {
  what: 'a map of classes',
  config,
  sees: ['map'],
  request: {
    map: mapField('the class of each pixel as a grey level, a PNG of the size of the picture, for models of maps'),
  },
  size: (_, { map: picture }) => picture as Image | undefined,
  reach: ({ out_channels }) => ({ concat: out_channels }),
  inputs: (_, { width, height }) => ({ map: i64(height, width) }),
  embed(at, { in_channels, out_channels, n_stages }, { map }, { place }) {
    checkStages(n_stages, place)
    const weight = at('channel_mapper').parameter(
      'weight',
      [out_channels, in_channels, 1, 1],
      torchDefault(in_channels),
    )
    // The original halves a plane for each class, then maps the planes; both are linear, so that the few mapped ones can
    // be halved instead. Halving by bilinear interpolation takes means of 2x2, n times those of 2^n x 2^n.
    const mapped = gather(transpose(reshape(weight, [out_channels, in_channels])), map!)
    const planes = transpose(mapped, [0, 3, 1, 2])
    const factor = 2 ** n_stages
    return { concat: factor === 1 ? planes : averagePool2d(planes, { kernel: factor, stride: factor }) }
  },
  reader({ in_channels, names }) {
    return {
      async ofRecord({ picture, map }) {
        const labels = await map()
        const wanted = 'a PNG of grey levels, named in captions.jsonl as "map" or beside the picture as NAME.map.png'
        if (labels === undefined) throw new FileError(picture.file, `has no map of classes; wanted is ${wanted}`)
        return { map: checked(labels, in_channels, picture.map ?? `the map of ${picture.file}`) }
      },
      ofRequest(request, place) {
        const picture = pictureOf(request, 'map', 'paints maps of classes')
        checkSize('map', picture, place)
        return { positive: { map: checked(greyLevels(picture, 'map'), in_channels, 'map', names) } }
      },
    }
  },
} satisfies Conditioning<Config>

function checked(labels: Uint8Array, count: number, name: string, names?: readonly string[]): Uint8Array {
  const highest = labels.reduce((a, b) => Math.max(a, b), 0)
  if (highest < count) return labels
  throw new LatentkitError(
    `${name} has class ${highest}; the model knows 0 to ${count - 1}${names ? ` (${names[0]} to ${names.at(-1)})` : ''}`,
  )
}

function checkStages(stages: number, { width, height, latents: [, rows, columns] }: Place): void {
  if (height / 2 ** stages === rows && width / 2 ** stages === columns) return
  throw new RangeError(
    `conditioning.map: ${width}x${height} pixels halved ${stages} times (n_stages) do not give latents of ${columns}x${rows}`,
  )
}
