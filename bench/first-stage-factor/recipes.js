// What the study trains. Between the factors nothing differs but what the first stage makes of a picture: the UNet, its
// training and its sampling stay the same, as in section 4.1 of Rombach et al. 2022.

/** Side of the photographs in pixels. */
export const size = 64

/** Factors f by which the first stage shrinks a side; 1 is none: diffusion in the pixels. */
export const factors = [1, 2, 4, 8, 16]

/** KL first stages: channels of the latents, and those of the levels over `ch`, as the paper has them. */
const stages = {
  2: { channels: 2, ch_mult: [1, 2] },
  4: { channels: 3, ch_mult: [1, 2, 4] },
  8: { channels: 4, ch_mult: [1, 2, 4, 4] },
  16: { channels: 16, ch_mult: [1, 1, 2, 2, 4] },
}

/** [channels, height, width] of what the UNet works on. */
export const latentShape = f => [f === 1 ? 3 : stages[f].channels, size / f, size / f]

// The processor's time ends a training, and says when its checkpoints are due; the learning rate must not know the end.
const never = 1e9
const training = {
  seed: 1,
  steps: never,
  evaluate_every: never,
  sample_every: never,
  checkpoint_every: never,
  warm_up: 100,
  decay: 'constant',
  clip: 1,
  ema: { decay: 0.999 },
}

// Unmirrored: of f = 1 the cache of "latents" holds every pixel as two float32 numbers.
const data = { size, flip: false }

/** Recipe of the first stage of a factor above 1, all but its folder. No discriminator: the paper's starts after 50,000 steps. */
export const firstStage = f => ({
  data,
  first_stage_config: {
    embed_dim: stages[f].channels,
    ddconfig: {
      z_channels: stages[f].channels,
      resolution: size,
      in_channels: 3,
      out_ch: 3,
      ch: 32,
      ch_mult: stages[f].ch_mult,
      num_res_blocks: 1,
      num_groups: 8,
      attn_resolutions: [],
    },
  },
  loss: { pixel_loss: 'l1', perceptual_weight: 0.25, kl_weight: 1e-4 },
  training: { ...training, batch: 8, learning_rate: 4e-4, betas: [0.9, 0.99] },
})

/** Recipe of the diffusion model over a factor, unconditional, all but its folder. */
export const diffusion = f => ({
  data,
  scale_factor: 'by_std',
  unet_config: {
    in_channels: latentShape(f)[0],
    out_channels: latentShape(f)[0],
    model_channels: 32,
    channel_mult: [1, 2, 4],
    num_res_blocks: 1,
    attention_resolutions: [2, 4],
    num_head_channels: 32,
  },
  diffusion: { timesteps: 1000, linear_start: 0.0015, linear_end: 0.0195 },
  training: { ...training, batch: 16, learning_rate: 3e-4 },
})
