import { fromFloat32 } from '../weights/dtypes.js'
import { encodeSafetensors } from '../weights/safetensors.js'
import { drawnCheckpoint } from './small-originals.js'

/** Shapes of a pair of kohya's for a layer of so many outputs and inputs. */
const pair = (layer: string, outputs: number, inputs: number, window: readonly number[] = []) => [
  { name: `${layer}.lora_down.weight`, shape: [4, inputs, ...window] },
  { name: `${layer}.lora_up.weight`, shape: [outputs, 4, ...window.map(() => 1)] },
]

const block = (name: string, width: number) =>
  [
    pair(`${name}_transformer_blocks_0_attn1_to_q`, width, width),
    pair(`${name}_transformer_blocks_0_attn2_to_v`, width, 128),
    pair(`${name}_transformer_blocks_0_attn2_to_out_0`, width, width),
    pair(`${name}_proj_in`, width, width, [1, 1]),
  ].flat()

/** A LoRA of the small Stable Diffusion 1 in kohya's names: `small-style`, always the same numbers. */
export function smallLora(): File {
  const shapes = [
    block('lora_unet_down_blocks_0_attentions_0', 64),
    block('lora_unet_mid_block_attentions_0', 128),
    block('lora_unet_up_blocks_0_attentions_1', 128),
    pair('lora_te_text_model_encoder_layers_0_self_attn_v_proj', 128, 128),
    pair('lora_te_text_model_encoder_layers_1_mlp_fc1', 256, 128),
  ].flat()
  const drawn = drawnCheckpoint(shapes)
  for (const { name } of shapes)
    if (name.endsWith('down.weight'))
      drawn.set(name.replace('lora_down.weight', 'alpha'), fromFloat32(Float32Array.of(2), []))
  return file(drawn, 'small-style.safetensors')
}

/** A word of three vectors for the small Stable Diffusion 1: `my-cat`, always the same numbers. */
export const smallWord = (): File =>
  file(drawnCheckpoint([{ name: 'emb_params', shape: [3, 128] }]), 'my-cat.safetensors')

const file = (tensors: ReturnType<typeof drawnCheckpoint>, name: string) =>
  new File([Uint8Array.from(encodeSafetensors(tensors))], name)
