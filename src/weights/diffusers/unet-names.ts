import { type ModuleNames, type Renames, renamesBetween } from './module-names.js'
import type { LabelModule } from './unet-config.js'

/** What of a CompVis config decides the names. */
export interface UnetLayout {
  readonly channel_mult: readonly number[]
  readonly num_res_blocks: number | readonly number[]
  readonly attention_resolutions: readonly number[]
  readonly num_classes?: number | string | null | undefined
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

/**
 * The names of a UNet's tensors in CompVis checkpoints and in diffusers' UNet2DConditionModel.
 *
 * @param label under which name diffusers keeps the embedding of `num_classes: sequential`
 */
export function unetRenames(words: UnetLayout, label: LabelModule = 'add_embedding'): Renames {
  return renamesBetween(modules(words, label))
}

/** In the order of openaimodel.py, UNetModel.__init__; the other names are those of unet_2d_condition.py. */
function* modules(words: UnetLayout, label: LabelModule): Generator<ModuleNames> {
  const levels = words.channel_mult.length
  const blocksAt = (level: number) =>
    typeof words.num_res_blocks === 'number' ? words.num_res_blocks : words.num_res_blocks[level]!
  const attends = (level: number) => words.attention_resolutions.includes(2 ** level)

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
      if (attends(level)) yield { compvis: `input_blocks.${block}.1`, diffusers: `${down}.attentions.${i}` }
    }
    if (level < levels - 1) yield { compvis: `input_blocks.${block++}.0.op`, diffusers: `${down}.downsamplers.0.conv` }
  }

  yield { compvis: 'middle_block.0', diffusers: 'mid_block.resnets.0', inner: resnet }
  yield { compvis: 'middle_block.1', diffusers: 'mid_block.attentions.0' }
  yield { compvis: 'middle_block.2', diffusers: 'mid_block.resnets.1', inner: resnet }

  block = 0
  for (let level = levels - 1; level >= 0; level--) {
    const up = `up_blocks.${levels - 1 - level}`
    for (let i = 0; i <= blocksAt(level); i++, block++) {
      yield { compvis: `output_blocks.${block}.0`, diffusers: `${up}.resnets.${i}`, inner: resnet }
      if (attends(level)) yield { compvis: `output_blocks.${block}.1`, diffusers: `${up}.attentions.${i}` }
    }
    const after = attends(level) ? 2 : 1
    if (level > 0) {
      yield { compvis: `output_blocks.${block - 1}.${after}.conv`, diffusers: `${up}.upsamplers.0.conv` }
    }
  }
  yield { compvis: 'out.0', diffusers: 'conv_norm_out' }
  yield { compvis: 'out.2', diffusers: 'conv_out' }
}
