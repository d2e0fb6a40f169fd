import { type ConditioningConfig, conditionings } from '../../conditioning/index.js'
import { crop, flatten, type Image, resizeImage, type Size } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { type ProfileName, profiles } from '../../samplers/index.js'
import type { Latents } from '../generation/latents.js'
import { factorOf, type ModelConfig, trainedSize } from '../model-config.js'
import { unitOf } from './size.js'

/** What a generation starts from instead of noise alone. */
export interface Init {
  /** A picture for all, or one for each, at the size that is painted. */
  readonly pictures?: readonly Image[] | undefined
  /** Latents of all pictures, or of each. */
  readonly latents?: Latents | readonly Latents[] | undefined
  readonly strength: number
  /** Grey levels of the picture's size: what is painted anew; all if left out. */
  readonly mask?: Image | undefined
}

/** Settings that say what to start from. */
export interface InitSettings {
  readonly latents?: Init['latents']
  readonly strength?: number | undefined
  readonly fit: 'crop' | 'stretch'
  readonly profile?: ProfileName | undefined
}

const strengths = { picture: 0.75, masked: 1 }

/** Whether a model is conditioned on a field of a request. */
export const listensTo = (config: ConditioningConfig | undefined, field: string): boolean =>
  Object.entries(conditionings).some(
    ([name, { request }]) => config?.[name as keyof ConditioningConfig] !== undefined && field in request,
  )

/**
 * A request without the picture and the mask that its model does not listen to: any model can start from a picture, and
 * paint in it where a mask is white. A model that is told of the picture starts from it if a strength says so, or the tool
 * of a profile that keeps what is known of it.
 *
 * @throws LatentkitError where they do not fit together.
 */
export function splitInit(
  config: ConditioningConfig | undefined,
  request: Readonly<Record<string, unknown>>,
  settings: InitSettings,
): { request: Readonly<Record<string, unknown>>; init?: Init } {
  const { image, mask, ...others } = request as { image?: Image; mask?: Image }
  const { strength, latents, profile } = settings
  if (listensTo(config, 'image')) {
    const held = mask !== undefined && profile !== undefined && profiles[profile].inpainting?.told
    const start = held || (strength !== undefined && strength < 1)
    const pictures = image && [flatten(image)]
    const init = { pictures, latents, strength: strength ?? 1, ...(held && { mask: flatten(mask) }) }
    return { request, ...(start && { init }) }
  }
  if (mask && !image) throw new LatentkitError('generate: mask says where to paint in a picture: give that as image')
  if (!image && !latents) return { request: others }
  if (mask && image && (mask.width !== image.width || mask.height !== image.height)) {
    throw new LatentkitError(
      `generate: mask has ${mask.width}x${mask.height} pixels and image ${image.width}x${image.height}; bring them to one size`,
    )
  }
  return {
    request: others,
    init: {
      ...(image && { pictures: [flatten(image)] }),
      ...(mask && { mask: flatten(mask) }),
      latents,
      strength: strength ?? (mask ? strengths.masked : strengths.picture),
    },
  }
}

/**
 * The size at which a picture is painted that does not say otherwise: its own, cut to what the network can do; pictures
 * beyond twice the side of those in training are made smaller.
 */
export function sizeOfInit(config: ModelConfig, { pictures, latents }: Init): Size {
  const factor = factorOf(config)
  const [one] = latents === undefined ? [] : [latents].flat()
  if (one) return { width: (one as Latents).shape[2] * factor, height: (one as Latents).shape[1] * factor }
  return pictureSize(config, pictures![0]!)
}

/** The size at which a model paints what starts from a picture. */
export function pictureSize(config: ModelConfig, { width, height }: Size): Size {
  const unit = unitOf(config)
  const scale = Math.min(1, (2 * trainedSize(config)) / Math.max(width, height))
  const side = (length: number) => Math.max(unit, Math.floor((length * scale) / unit) * unit)
  return { width: side(width), height: side(height) }
}

/** Picture and mask at the size that is painted. */
export const fitInit = (init: Init, size: Size, fit: InitSettings['fit']): Init => ({
  ...init,
  pictures: init.pictures?.map(picture => fitted(picture, size, fit)),
  mask: init.mask && fitted(init.mask, size, fit),
})

/** A picture brought to a size: stretched, or as much of its middle as has the shape. */
export function fitted(image: Image, { width, height }: Size, fit: InitSettings['fit']): Image {
  const picture = flatten(image)
  if (picture.width === width && picture.height === height) return picture
  const scale = Math.min(picture.width / width, picture.height / height)
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)].map(side => Math.max(1, side)) as [
    number,
    number,
  ]
  const part = fit === 'stretch' ? picture : crop(picture, (picture.width - w) >> 1, (picture.height - h) >> 1, w, h)
  return part.width === width && part.height === height ? part : resizeImage(part, width, height, { filter: 'lanczos' })
}
