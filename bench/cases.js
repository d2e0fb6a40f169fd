// What is measured: the same descriptions serve our side (ours.js) and the peer (peer/main.py), so that both build the
// same networks from the same configurations, the bundled model's out of its own recipes.

import { readFileSync } from 'node:fs'
import { autoencoderConfig } from '../dist/autoencoder/config.js'
import { assumedConditions } from '../dist/conditioning/index.js'
import { parseConfig } from '../dist/schema/config.js'
import { stableDiffusionUnet } from '../dist/testing/stable-diffusion.js'
import { diffusionRecipe } from '../dist/train/diffusion/recipe.js'
import { diffusionModel } from '../dist/train/diffusion/train-diffusion.js'
import { autoencoderRecipe } from '../dist/train/first-stage/recipe.js'

const recipe = (file, schema) =>
  parseConfig(readFileSync(new URL(`../configs/${file}`, import.meta.url), 'utf8'), schema, file)
const autoencoder = recipe('emoji-autoencoder.yaml', autoencoderRecipe)
const diffusion = recipe('emoji-diffusion.yaml', diffusionRecipe)
const vq = recipe('vq-f4.yaml', autoencoderRecipe)
const emoji = diffusionModel(diffusion, autoencoder.first_stage_config, assumedConditions(diffusion.conditioning))

/** 40 million parameters, after the unconditional models of the paper's table 12: attention at 16 and 8, heads of 32. */
const ldm = diffusionModel(
  diffusionRecipe.parse({
    ...diffusion,
    conditioning: undefined,
    samples: undefined,
    unet_config: {
      in_channels: 4,
      out_channels: 4,
      model_channels: 128,
      num_res_blocks: 2,
      attention_resolutions: [2, 4],
      channel_mult: [1, 2, 3],
      num_head_channels: 32,
    },
  }),
  autoencoder.first_stage_config,
)

/** Cross-attention as in the paper's text-to-image and class models, at 16 and 8: 45 million parameters with the text encoder. */
const crossAttention = diffusionModel(
  diffusionRecipe.parse({
    ...diffusion,
    samples: undefined,
    conditioning: { text: { n_embed: 512, n_layer: 4, max_seq_len: 77, vocabulary: 4096 } },
    unet_config: {
      in_channels: 4,
      out_channels: 4,
      model_channels: 128,
      num_res_blocks: 1,
      attention_resolutions: [2, 4],
      channel_mult: [1, 2, 3],
      num_head_channels: 32,
      use_spatial_transformer: true,
      context_dim: 512,
    },
  }),
  autoencoder.first_stage_config,
  { text: { n_embed: 512, n_layer: 4, max_seq_len: 77, vocab_size: 4096, heads: 8, dim_head: 64 } },
)

/** Its first stage. Source: the same file. */
const sdFirstStage = autoencoderConfig.parse({
  embed_dim: 4,
  ddconfig: {
    z_channels: 4,
    resolution: 256,
    in_channels: 3,
    out_ch: 3,
    ch: 128,
    ch_mult: [1, 2, 4, 4],
    num_res_blocks: 2,
    attn_resolutions: [],
  },
})

/** The paper's vq-f4, judged from the first step on, with the perceptual network that is bundled; 55 million parameters. */
const firstStage = { ...vq, loss: { ...vq.loss, perceptual_loss: 'squeezenet', perceptual_weights: [] } }

const { training } = diffusion
const prompt = 'red heart, noto emoji'
const blocks = [
  { batch: 32, channels: 128, size: 16 },
  { batch: 32, channels: 256, size: 8 },
]
const shapeOf = ({ batch, channels, size }) => `${batch}x${channels}x${size}x${size}`

/**
 * `kind` says what is built, `memory` that the peak is compared too; `steps` are measured after `warmup` others. Times are
 * those of one step: a batch in training, a call of the network, a whole command for `generate`.
 */
export const cases = [
  ...blocks.map(shape => ({
    name: `train: residual blocks ${shapeOf(shape)}`,
    kind: 'blocks',
    attention: false,
    ...shape,
    training,
    steps: 20,
  })),
  ...blocks.map(shape => ({
    name: `train: residual blocks + attention ${shapeOf(shape)}`,
    kind: 'blocks',
    attention: true,
    heads: shape.channels / 32,
    ...shape,
    training,
    steps: 20,
  })),
  {
    name: `train: bundled UNet and text encoder, batch ${training.batch}`,
    kind: 'diffusion',
    model: emoji,
    batch: training.batch,
    size: 16,
    training,
    memory: true,
    steps: 8,
  },
  {
    name: 'train: LDM UNet of 40M, batch 16 at 32x32',
    kind: 'diffusion',
    model: ldm,
    batch: 16,
    size: 32,
    training,
    memory: true,
    steps: 4,
  },
  {
    name: 'train: cross-attention UNet and text encoder of 45M, batch 8 at 32x32',
    kind: 'diffusion',
    model: crossAttention,
    batch: 8,
    size: 32,
    training,
    memory: true,
    steps: 4,
  },
  {
    name: 'train: KL autoencoder, perceptual loss, batch 8 at 128x128',
    kind: 'autoencoder',
    recipe: autoencoder,
    batch: 8,
    size: 128,
    training: autoencoder.training,
    memory: true,
    steps: 6,
  },
  {
    name: 'train: VQ autoencoder against a discriminator, batch 2 at 64x64',
    kind: 'adversarial',
    recipe: firstStage,
    batch: 2,
    size: 64,
    training: firstStage.training,
    memory: true,
    steps: 4,
  },
  {
    name: 'infer: bundled UNet, batch 2',
    kind: 'unet',
    config: emoji.unet_config,
    batch: 2,
    size: 16,
    tokens: 24,
    steps: 60,
  },
  {
    name: 'infer: bundled decoder, 128x128',
    kind: 'decoder',
    config: emoji.first_stage_config,
    batch: 1,
    size: 16,
    steps: 40,
  },
  { name: 'generate: process start to PNG, 20 steps with guidance', kind: 'generate', prompt, steps: 5 },
  {
    name: 'SD 1.5 UNet (860M): tracing and emission',
    kind: 'emission',
    config: stableDiffusionUnet,
    batch: 2,
    size: 64,
    tokens: 77,
    steps: 5,
  },
  // Weights at the points of Winograd's algorithm take memory: none, what they may by default, and 1 GiB.
  ...[
    ['plain', 0],
    ['weights by default', undefined],
    ['weights 1 GiB larger', 2 ** 30],
  ].map(([how, weightGrowth]) => ({
    name: `SD 1.5 UNet (860M): one step, 64x64, batch 2, ${how}`,
    kind: 'unet',
    config: stableDiffusionUnet,
    batch: 2,
    size: 64,
    tokens: 77,
    weightGrowth,
    memory: true,
    steps: 2,
  })),
  {
    name: 'SD 1.5 decoder: 512x512',
    kind: 'decoder',
    config: sdFirstStage,
    batch: 1,
    size: 64,
    memory: true,
    steps: 2,
  },
]

/** Cases that our side has alone: what a user waits for. */
export const alone = ['generate', 'emission']
