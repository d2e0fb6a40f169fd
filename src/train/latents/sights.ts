import type { Box, Sight } from '../../conditioning/index.js'
import {
  type Companion,
  type LoadedPicture,
  loadPicture,
  noChance,
  pictureCache,
  type Source,
  samplesAt,
  type Transform,
  windowOf,
} from '../../data/index.js'
import { flipHorizontal, type Image, imageToPixels, type Size } from '../../image/index.js'
import type { LatentDraw, Sights } from './contract.js'
import type { LatentRecord } from './files.js'

/** A picture before it is mirrored, with what belongs to it. */
export interface Look {
  readonly whole: Size
  /** The part of the picture that is seen. */
  readonly window: Box
  readonly image: Image
  readonly map?: Uint8Array | undefined
  readonly hint?: Image | undefined
}

/** Sights over anything that looks at one picture; what stays the same of a picture is remembered. */
export function sightsOver(
  look: (draw: LatentDraw) => Promise<Look>,
  { flip, shares }: Pick<Transform, 'flip' | 'shares'>,
): Sights {
  const places = new Map<number, Pick<Look, 'whole' | 'window'>>()
  return {
    image: async index => (await look({ index, flip: 1 })).image,
    see(draw) {
      const { index } = draw
      const mirrored = flip && draw.flip < 0.5
      const turned = (image: Image) => (mirrored ? flipHorizontal(image) : image)
      let looking: Promise<Look> | undefined
      const looked = () => {
        looking ??= look(draw)
        return looking
      }
      const placed = async () => {
        const { whole, window } = places.get(index) ?? (await looked())
        // A random crop is another one each time.
        if (!shares) places.set(index, { whole, window })
        return { whole, window }
      }
      return {
        mirrored,
        size: async () => (await placed()).whole,
        visible: async () => (await placed()).window,
        pixels: async () => imageToPixels(turned((await looked()).image)),
        async map() {
          const { map, image } = await looked()
          return map && mirrored ? mirroredRows(map, image.width) : map
        },
        async hint() {
          const { hint } = await looked()
          return hint && imageToPixels(turned(hint)).map(value => (value + 1) / 2)
        },
      }
    },
  }
}

const mirroredRows = (map: Uint8Array, width: number): Uint8Array =>
  map.map((_, i) => map[i - (i % width) + width - 1 - (i % width)]!)

/** What is loaded beside a picture for such sights. */
export const companionsOf = (sights: readonly Sight[]): Companion[] =>
  (['map', 'hint'] as const).filter(kind => sights.includes(kind))

/** What becomes of a picture that was loaded without chance. */
export const lookOf = ({ whole, view, image, map, hint }: LoadedPicture): Look => ({
  ...{ whole, window: windowOf(view), image, map, hint },
})

/** Looks at the pictures of a source whose parts they are: each can be read by itself. */
export function looksAgain(
  source: Source,
  records: readonly Pick<LatentRecord, 'at'>[],
  options: {
    readonly transform: Transform
    readonly shapes?: readonly Size[] | undefined
    readonly sights: readonly Sight[]
  },
): (draw: LatentDraw) => Promise<Look> {
  const given = { ...options, cache: pictureCache(), also: companionsOf(options.sights) }
  return async ({ index, x, y }) => {
    const [sample] = await samplesAt(source, [records[index]!.at])
    const chances = { ...noChance, ...(options.transform.shares && { x: x ?? noChance.x, y: y ?? noChance.y }) }
    return lookOf(await loadPicture({ sample: sample!, epoch: 0, number: 0, ...chances }, given))
  }
}
