import { type ModuleNames, type Renames, renamesBetween } from './module-names.js'
import type { LabelModule } from './unet-config.js'

/** What of a CompVis config decides the names. */
export interface UnetLayout {
  readonly channel_mult: readonly number[]
  readonly num_res_blocks: number | readonly number[]
  readonly attention_resolutions: readonly number[]
  readonly num_classes?: number | string | null | undefined
  /** Transformers, whose modules are called the same, instead of attention; true if not given. */
  readonly use_spatial_transformer?: boolean | undefined
  /** Residual blocks where the size changes. */
  readonly resblock_updown?: boolean | undefined
}

/** openaimodel.py, ResBlock, against resnet.py, ResnetBlock2D. */
const resnet = new Map([
  ['in_layers.0', 'norm1'],
  ['in_layers.2', 'conv1'],
  ['emb_layers.1', 'time_emb_proj'],
  ['out_layers.0', 'norm2'],
  ['out_layers.3', 'conv2'],
  ['skip_connection', 'conv_shortcut'],
])

/** openaimodel.py, AttentionBlock, against attention_processor.py, Attention; before the dot of `qkv` see attention-rows.ts. */
const attention = new Map([
  ['norm', 'group_norm'],
  ['qkv.q', 'to_q'],
  ['qkv.k', 'to_k'],
  ['qkv.v', 'to_v'],
  ['proj_out', 'to_out.0'],
])
/** Before diffusers 0.17. */
const oldAttention = new Map([
  ['norm', 'group_norm'],
  ['qkv.q', 'query'],
  ['qkv.k', 'key'],
  ['qkv.v', 'value'],
  ['proj_out', 'proj_attn'],
])

/**
 * The names of a UNet's tensors in CompVis checkpoints and in diffusers' UNet2DConditionModel, or its UNet2DModel where it
 * has no transformers.
 *
 * @param label under which name diffusers keeps the embedding of `num_classes: sequential`
 */
export function unetRenames(words: UnetLayout, label: LabelModule = 'add_embedding'): Renames {
  return renamesBetween(modules(words, label), name =>
    /\.(qkv\.[qkv]|proj_out)\.weight$/.test(name) && isPlain(words) ? 1 : 0,
  )
}

const isPlain = ({ use_spatial_transformer }: UnetLayout): boolean => use_spatial_transformer === false

/** In the order of openaimodel.py, UNetModel.__init__; the other names are those of unet_2d_condition.py. */
function* modules(words: UnetLayout, label: LabelModule): Generator<ModuleNames> {
  const levels = words.channel_mult.length
  const blocksAt = (level: number) =>
    typeof words.num_res_blocks === 'number' ? words.num_res_blocks : words.num_res_blocks[level]!
  const attends = (level: number) => words.attention_resolutions.includes(2 ** level)
  const inResized = words.resblock_updown ? '' : '.conv'
  const resized = words.resblock_updown ? { inner: resnet } : {}
  function* attentions(compvis: string, diffusers: string): Generator<ModuleNames> {
    if (!isPlain(words)) return yield { compvis, diffusers }
    yield { compvis, diffusers, inner: attention }
    yield { compvis, diffusers, inner: oldAttention }
  }

  yield { compvis: 'time_embed.0', diffusers: 'time_embedding.linear_1' }
  yield { compvis: 'time_embed.2', diffusers: 'time_embedding.linear_2' }
  if (typeof words.num_classes === 'number') yield { compvis: 'label_emb', diffusers: 'class_embedding' }
  if (words.num_classes === 'sequential') {
    for (const module of [label, 'add_embedding', 'class_embedding']) {
      yield { compvis: 'label_emb.0.0', diffusers: `${module}.linear_1` }
      yield { compvis: 'label_emb.0.2', diffusers: `${module}.linear_2` }
    }
  }

  yield { compvis: 'input_blocks.0.0', diffusers: 'conv_in' }
  let block = 1
  for (let level = 0; level < levels; level++) {
    const down = `down_blocks.${level}`
    for (let i = 0; i < blocksAt(level); i++, block++) {
      yield { compvis: `input_blocks.${block}.0`, diffusers: `${down}.resnets.${i}`, inner: resnet }
      if (attends(level)) yield* attentions(`input_blocks.${block}.1`, `${down}.attentions.${i}`)
    }
    if (level < levels - 1) {
      const compvis = `input_blocks.${block++}.0${words.resblock_updown ? '' : '.op'}`
      yield { compvis, diffusers: `${down}.downsamplers.0${inResized}`, ...resized }
    }
  }

  yield { compvis: 'middle_block.0', diffusers: 'mid_block.resnets.0', inner: resnet }
  yield* attentions('middle_block.1', 'mid_block.attentions.0')
  yield { compvis: 'middle_block.2', diffusers: 'mid_block.resnets.1', inner: resnet }

  block = 0
  for (let level = levels - 1; level >= 0; level--) {
    const up = `up_blocks.${levels - 1 - level}`
    for (let i = 0; i <= blocksAt(level); i++, block++) {
      yield { compvis: `output_blocks.${block}.0`, diffusers: `${up}.resnets.${i}`, inner: resnet }
      if (attends(level)) yield* attentions(`output_blocks.${block}.1`, `${up}.attentions.${i}`)
    }
    const after = attends(level) ? 2 : 1
    if (level > 0) {
      const compvis = `output_blocks.${block - 1}.${after}${inResized}`
      yield { compvis, diffusers: `${up}.upsamplers.0${inResized}`, ...resized }
    }
  }
  yield { compvis: 'out.0', diffusers: 'conv_norm_out' }
  yield { compvis: 'out.2', diffusers: 'conv_out' }
}
