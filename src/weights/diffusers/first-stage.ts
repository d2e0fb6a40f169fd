import { z } from 'zod'
import { FileError } from '../../platform/errors.js'
import { autoencoderFromDiffusers } from './autoencoder.js'
import { autoencoderRenames } from './autoencoder-names.js'
import type { Renames } from './module-names.js'
import { tinyAutoencoderRenames } from './tiny-autoencoder.js'

/** A first stage as diffusers describes it. */
export interface FirstStageFromDiffusers {
  readonly words: Readonly<Record<string, unknown>>
  /** By which a diffusion model's latents are multiplied, where it is said. */
  readonly scaleFactor: number | undefined
  readonly renames: Renames
}

/** Classes of first stages that can be read. */
export const firstStageClasses = ['AutoencoderKL', 'VQModel', 'AutoencoderTiny'] as const

/** Of diffusers' autoencoder_tiny.py what TAESD can do. */
const tinySchema = z.object({
  latent_channels: z.int().positive().default(4),
  encoder_block_out_channels: z.array(z.int().positive()).default([64, 64, 64, 64]),
  decoder_block_out_channels: z.array(z.int().positive()).default([64, 64, 64, 64]),
  num_encoder_blocks: z.tuple([z.literal(1), z.literal(3), z.literal(3), z.literal(3)]).optional(),
  num_decoder_blocks: z.tuple([z.literal(3), z.literal(3), z.literal(3), z.literal(1)]).optional(),
  upsampling_scaling_factor: z.literal(2).default(2),
  act_fn: z.literal('relu').default('relu'),
  latent_magnitude: z.literal(3).default(3),
  latent_shift: z.literal(0.5).default(0.5),
  scaling_factor: z.literal(1).default(1),
  shift_factor: z.literal(0).default(0),
})

/** Translates the config.json of a first stage into CompVis' words; throws FileError naming the key that cannot be used. */
export function firstStageFromDiffusers(json: unknown, file: string): FirstStageFromDiffusers {
  if ((json as { _class_name?: unknown } | null)?._class_name !== 'AutoencoderTiny') {
    const { words, scaleFactor } = autoencoderFromDiffusers(json, file)
    return { words: { ...words }, scaleFactor, renames: autoencoderRenames(words.ddconfig) }
  }
  const parsed = tinySchema.safeParse(json)
  const refuse = (reason: string): never => {
    throw new FileError(file, `cannot be used as the config of TAESD: ${reason}`)
  }
  if (!parsed.success) return refuse(z.prettifyError(parsed.error))
  const { latent_channels, encoder_block_out_channels, decoder_block_out_channels } = parsed.data
  const widths = new Set([...encoder_block_out_channels, ...decoder_block_out_channels])
  const [width] = widths
  if (widths.size !== 1) refuse(`its blocks have ${[...widths].join(', ')} channels, wanted is one number`)
  return { words: { latent_channels, width }, scaleFactor: 1, renames: tinyAutoencoderRenames }
}
