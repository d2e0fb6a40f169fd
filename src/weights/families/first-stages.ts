import { type Family, isAutoencoder, type Parts } from './family.js'

/** First stages alone: they encode and decode pictures. */
const alone = (name: string, title: string, fits: (parts: Parts) => boolean): Family => ({
  name,
  title,
  needs: ['stage'],
  fits: parts => parts.unet === undefined && fits(parts),
  config: ({ stage }) => ({ first_stage_config: stage }),
})

const hasCodes = ({ stage }: Parts): boolean => isAutoencoder(stage) && stage.n_embed !== undefined

export const firstStages: readonly Family[] = [
  alone('autoencoder-kl', 'a KL autoencoder', parts => isAutoencoder(parts.stage) && !hasCodes(parts)),
  alone('autoencoder-vq', 'an autoencoder with a codebook', hasCodes),
  alone('taesd', 'TAESD, a tiny autoencoder', ({ stage }) => stage !== undefined && !isAutoencoder(stage)),
]
