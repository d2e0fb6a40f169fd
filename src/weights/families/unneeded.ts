/** Tensors of checkpoints that no network of ours needs, and why. */
const unneeded: readonly (readonly [RegExp, string])[] = [
  [
    /^(betas|alphas_cumprod(_prev)?|(sqrt|log)_\w+|posterior_\w+|lvlb_weights|logvar|scale_factor|denoiser\.sigmas)$/,
    'numbers of the noise schedule',
  ],
  [/^model_ema\./, 'averages of training'],
  [/^(v_pred|ztsnr|edm_vpred\.\w+)$/, 'keys that tell what is predicted'],
  [/^first_stage_model\.(loss|model_ema)\./, 'what the first stage was trained with'],
  [/\.position_ids$/, 'numbers of positions'],
  [/^(cond_stage_model|conditioner\.embedders\.\d+)\.(model\.)?(logit_scale|attn_mask)$/, 'what CLIP was trained with'],
  // Layers after the one that is taken, projections that nothing takes.
  [
    /^(cond_stage_model|conditioner\.embedders\.\d+)\.(transformer\.(text_model\.(encoder\.layers\.\d+|final_layer_norm)|text_projection)|model\.(transformer\.resblocks\.\d+|ln_final|text_projection))(\.|$)/,
    'parts of text encoders that are not used',
  ],
  [/^cond_stage_model\.transformer\.to_logits\./, 'parts of text encoders that are not used'],
  [/^cond_stage_model\.(encoder|decoder|quant_conv|post_quant_conv|quantize|loss)\./, 'the first stage a second time'],
  [/^depth_model\./, 'the network that guesses depth: the depth is handed in'],
  [/^low_scale_model\./, 'numbers of a noise schedule'],
]

/** Why a tensor is not needed; undefined where it is unknown. */
export const whyUnneeded = (name: string): string | undefined => unneeded.find(([pattern]) => pattern.test(name))?.[1]
