import { autoencoderRenames } from '../diffusers/autoencoder-names.js'
import { tinyAutoencoderRenames } from '../diffusers/tiny-autoencoder.js'
import { rowsOf, transposed } from '../stored.js'
import type { StoredTensor } from '../tensor-file.js'
import { taesdHalf } from './halves.js'
import { namesOf } from './names.js'
import { withScales } from './scaled-weights.js'

type Tensors = ReadonlyMap<string, StoredTensor>

/** What training keeps of a model's averages, ldm/modules/ema.py. */
const averages = 'model_ema.'

/**
 * The tensors of a checkpoint by the names of CompVis' and Stability's single files, whatever it wraps them in: a `state_dict`,
 * a network without its place in the model, stable-diffusion.cpp's names, text encoders of other versions of transformers.
 *
 * @param averaged whether the averages take the place of the weights, where the file has both
 */
export function originalNames(
  file: Tensors,
  { averaged = true }: { averaged?: boolean | undefined } = {},
): Map<string, StoredTensor> {
  let tensors = withScales(unwrapped(file))
  if (averaged) tensors = withAverages(tensors)
  tensors = inPlace(tensors)
  tensors = renamed(tensors, encoderRules(tensors))
  return reshaped(tensors)
}

/** Lightning's checkpoints have the weights below `state_dict`, beside what only training needs. */
function unwrapped(file: Tensors): Tensors {
  const wrapper = 'state_dict.'
  const inside = [...file].flatMap(([name, tensor]) =>
    name.startsWith(wrapper) ? [[name.slice(wrapper.length), tensor] as const] : [],
  )
  return inside.length > 0 ? new Map(inside) : file
}

/** LitEma names a weight without its dots, below the module that it averages. */
function withAverages(tensors: Tensors): Tensors {
  const out = new Map<string, StoredTensor>()
  for (const [name, tensor] of tensors) {
    if (name.startsWith(averages)) continue
    const own = name.startsWith('model.') ? name.slice('model.'.length) : name
    out.set(name, tensors.get(averages + own.replaceAll('.', '')) ?? tensor)
  }
  return out
}

/** A network alone gets the name of its place in the model. */
function inPlace(tensors: Tensors): Tensors {
  const names = namesOf(tensors)
  const { has } = names
  if (has('input_blocks.0.0.weight')) return prefixed(tensors, 'model.diffusion_model.')
  if (has('diffusion_model.input_blocks.0.0.weight')) return prefixed(tensors, 'model.')
  if (has('encoder.down_blocks.0') || has('encoder.layers.0')) return fromDiffusers(tensors)
  if (has('encoder.conv_in.weight') && has('decoder.conv_in.weight')) return prefixed(tensors, 'first_stage_model.')
  if (has('encoder.0.weight') && has('decoder.1.weight')) return prefixed(tensors, 'first_stage_model.')
  const half = taesdHalf(names)
  return half ? prefixed(tensors, `first_stage_model.${half}.`) : tensors
}

/** An autoencoder that diffusers wrote; what it has beside stays where it is. */
function fromDiffusers(tensors: Tensors): Tensors {
  const { has, count } = namesOf(tensors)
  const levels = Array.from({ length: count('encoder.down_blocks') }, (_, level) => level)
  // Of the sizes only their order counts here: so many pixels halve often enough.
  const resolution = 2 ** levels.length
  const renames = has('encoder.layers.0')
    ? tinyAutoencoderRenames
    : autoencoderRenames({
        resolution,
        ch_mult: levels,
        num_res_blocks: count('encoder.down_blocks.0.resnets'),
        attn_resolutions: levels.flatMap(level =>
          has(`encoder.down_blocks.${level}.attentions`) ? [resolution / 2 ** level] : [],
        ),
      })
  const out = new Map<string, StoredTensor>()
  for (const [name, tensor] of tensors) {
    const to = renames.toCompvis(name, tensor.shape)
    out.set(to ? `first_stage_model.${to.name}` : name, to ? { ...tensor, shape: to.shape } : tensor)
  }
  return out
}

const prefixed = (tensors: Tensors, prefix: string): Tensors =>
  new Map([...tensors].map(([name, tensor]) => [prefix + name, tensor]))

type Rule = readonly [from: RegExp, to: string]

/** Where text encoders lie, by whether the UNet takes a vector as Stable Diffusion XL's does. */
function encoderRules(tensors: Tensors): readonly Rule[] {
  const several = tensors.has('model.diffusion_model.label_emb.0.0.weight')
  return [
    // From transformers 5 on there is no module between.
    [
      /^((?:cond_stage_model|conditioner\.embedders\.\d+)\.(?:1\.)?transformer\.)(embeddings|encoder|final_layer_norm)\./,
      '$1text_model.$2.',
    ],
    ...(several
      ? ([
          // stable-diffusion.cpp, src/name_conversion.cpp: all embedders below cond_stage_model, the first without a number.
          [/^cond_stage_model\.1\./, 'conditioner.embedders.1.'],
          [/^cond_stage_model\.(transformer|model)\./, 'conditioner.embedders.0.$1.'],
        ] as const)
      : // generative-models, configs/inference/sd_2_1.yaml: Stable Diffusion 2 as XL's code has it.
        ([[/^conditioner\.embedders\.0\.(transformer|model)\./, 'cond_stage_model.$1.']] as const)),
  ]
}

function renamed(tensors: Tensors, rules: readonly Rule[]): Tensors {
  const out = new Map<string, StoredTensor>()
  for (const [name, tensor] of tensors) {
    const renamed = rules.reduce((name, [from, to]) => name.replace(from, to), name)
    // Of two that would be called the same, the one that is called so already stays.
    if (renamed === name || !(tensors.has(renamed) || out.has(renamed))) out.set(renamed, tensor)
    else out.set(name, tensor)
  }
  return out
}

/** Brings to the originals' shapes what other tools keep in others. */
function reshaped(tensors: Tensors): Map<string, StoredTensor> {
  const out = new Map<string, StoredTensor>()
  for (const [name, tensor] of tensors) {
    const { shape } = tensor
    const fused = /^(.*\.self_attn)\.in_proj[._](weight|bias)$/.exec(name)
    if (fused && shape[0]! % 3 === 0) {
      // stable-diffusion.cpp keeps OpenCLIP's three projections in one matrix, under Hugging Face's names.
      const width = shape[0]! / 3
      for (const [i, part] of ['q_proj', 'k_proj', 'v_proj'].entries())
        out.set(`${fused[1]}.${part}.${fused[2]}`, rowsOf(tensor, i * width, width))
    } else if (name.endsWith('.transformer.text_model.text_projection') && shape.length === 2) {
      // There OpenCLIP's projection, which multiplies from the right.
      out.set(name.replace('text_model.text_projection', 'text_projection.weight'), transposed(tensor))
    } else if (/\.(?:attn_1|attn\.\d+)\.(?:q|k|v|proj_out)\.weight$/.test(name) && shape.length === 2) {
      // An autoencoder's attention by way of diffusers, where its 1x1 convolutions are linear layers.
      out.set(name, { ...tensor, shape: [...shape, 1, 1] })
    } else out.set(name, tensor)
  }
  return out
}
