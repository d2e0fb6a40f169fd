import { type ModuleNames, type Renames, renamesBetween } from './module-names.js'
import { type UnetLayout, unetRenames } from './unet-names.js'

/**
 * The names of a ControlNet's tensors in the original's checkpoints (without `control_model.`) and in diffusers'
 * ControlNetModel: those of the UNet's encoder half, and of its own layers. Source: controlnet.py.
 *
 * @param hintLayers convolutions of the hint block; the original's has 8
 */
export function controlRenames(words: UnetLayout, hintLayers = 8): Renames {
  const unet = unetRenames(words)
  const own = renamesBetween(modules(words, hintLayers))
  return {
    toDiffusers: (name, shape) => own.toDiffusers(name, shape) ?? unet.toDiffusers(name, shape),
    toCompvis: (name, shape) => own.toCompvis(name, shape) ?? unet.toCompvis(name, shape),
  }
}

function* modules({ channel_mult, num_res_blocks }: UnetLayout, hintLayers: number): Generator<ModuleNames> {
  for (let i = 0; i < hintLayers; i++) {
    const name = i === 0 ? 'conv_in' : i === hintLayers - 1 ? 'conv_out' : `blocks.${i - 1}`
    yield { compvis: `input_hint_block.${2 * i}`, diffusers: `controlnet_cond_embedding.${name}` }
  }
  const residual = channel_mult.map((_, level) =>
    typeof num_res_blocks === 'number' ? num_res_blocks : num_res_blocks[level]!,
  )
  const blocks = channel_mult.length + residual.reduce((a, b) => a + b, 0)
  for (let i = 0; i < blocks; i++) yield { compvis: `zero_convs.${i}.0`, diffusers: `controlnet_down_blocks.${i}` }
  yield { compvis: 'middle_block_out.0', diffusers: 'controlnet_mid_block' }
}
