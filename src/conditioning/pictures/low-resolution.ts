import { z } from 'zod'
import { type Image, imageToPixels, resizePlanes } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { resizeBilinear } from '../../tensor/resize.js'
import { f32, i64 } from '../../tensor/tensor.js'
import type { Conditioning } from '../contract.js'
import { imageField, pictureOf } from '../fields.js'
import { degrade } from './degrade.js'

const config = z.strictObject({
  factor: z.int().min(2).default(4).describe('how many times larger the picture is made'),
  degradation: z
    .enum(['bsrgan_light', 'bicubic'])
    .default('bsrgan_light')
    .describe('how training pictures are made small: spoilt in many ways, or cleanly'),
  noise_augmentation: z
    .int()
    .positive()
    .optional()
    .describe(
      'noise up to this time of a linear schedule of 1000 is added to the small picture, and the UNet told of it (num_classes: 1000)',
    ),
})

/** Source: stablediffusion, configs/stable-diffusion/x4-upscaling.yaml, low_scale_config. */
const augmentation = { times: 1000, first: 1e-4, last: 2e-2 }
/** The time up to which a request's picture is noised unless it says another. Source: diffusers, StableDiffusionUpscalePipeline. */
const usualLevel = 20

/**
 * A smaller picture beside the latents. Sources: latent-diffusion, models/ldm/bsr_sr/config.yaml; stablediffusion,
 * ldm/modules/diffusionmodules/upscaling.py, ImageConcatWithNoiseAugmentation.
 */
export const lowResolution = {
  what: 'a small picture',
  config,
  sees: ['pixels'],
  request: {
    image: imageField,
    noiseLevel: {
      schema: z.int().nonnegative(),
      describe: `noise on the small picture, a time that the upscaler is told: more lets it invent more (default ${usualLevel})`,
      placeholder: 'TIME',
      optional: true,
      label: 'Noise level',
      read: Number,
      show: String,
      parse: Number,
    },
  },
  size: ({ factor }, { image }) => {
    const { width, height } = (image as Image | undefined) ?? {}
    return width === undefined ? undefined : { width: width * factor, height: height! * factor }
  },
  reach: ({ noise_augmentation }) => ({ concat: 3, ...(noise_augmentation && { y: augmentation.times }) }),
  inputs({ factor, noise_augmentation }, { width, height }) {
    const small = f32(3, Math.floor(height / factor), Math.floor(width / factor))
    return noise_augmentation === undefined ? { small } : { small, noiseTime: i64() }
  },
  embed(_, __, { small, noiseTime }, { place: { latents } }) {
    const [, height, width] = latents
    const same = small!.shape[2] === height && small!.shape[3] === width
    return { concat: same ? small! : resizeBilinear(small!, [height, width]), ...(noiseTime && { y: noiseTime }) }
  },
  reader({ factor, degradation, noise_augmentation: highest }) {
    const noised = (small: Float32Array, noise: Float32Array, time: number) => {
      const bar = signal(time)
      return {
        small: small.map((value, i) => Math.sqrt(bar) * value + Math.sqrt(1 - bar) * noise[i]!),
        noiseTime: [time],
      }
    }
    return {
      async ofRecord({ pixels, random }, { width, height }) {
        const data = (await pixels()).map(value => (value + 1) / 2)
        const [w, h] = [Math.floor(width / factor), Math.floor(height / factor)]
        const small = (
          degradation === 'bicubic'
            ? resizePlanes(data, { width, height }, w, h, { filter: 'bicubic' })
            : degrade({ data, width, height }, factor, random).data
        ).map(value => 2 * value - 1)
        if (highest === undefined) return { small }
        const time = random.randint(0, highest, 1)[0]!
        return noised(small, random.randn(small.length), time)
      },
      ofRequest(request, { width, height }, random, draw = count => random.randn(count)) {
        const picture = pictureOf(request, 'image', `makes a small picture ${factor} times larger`)
        if (picture.width * factor !== width || picture.height * factor !== height) {
          throw new LatentkitError(
            `generate: image has ${picture.width}x${picture.height} pixels, which ${factor} times larger are not ${width}x${height}`,
          )
        }
        const small = imageToPixels(picture)
        const level = request.noiseLevel as number | undefined
        if (highest === undefined) {
          if (level !== undefined)
            throw new LatentkitError('generate: noiseLevel is for models that are told of noise; leave it out')
          return { positive: { small } }
        }
        if (level !== undefined && level >= highest)
          throw new LatentkitError(`generate: noiseLevel is ${level}; this model knows 0 to ${highest - 1}`)
        return { positive: noised(small, draw(small.length), level ?? Math.min(usualLevel, highest - 1)) }
      },
    }
  },
} satisfies Conditioning<z.output<typeof config>>

/** The cumulative alpha of a time of the schedule that small pictures are noised by. */
function signal(time: number): number {
  const { times, first, last } = augmentation
  const root = (i: number) => Math.sqrt(first) + (i / (times - 1)) * (Math.sqrt(last) - Math.sqrt(first))
  let bar = 1
  for (let i = 0; i <= time; i++) bar *= 1 - root(i) ** 2
  return bar
}
