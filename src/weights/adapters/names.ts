import { type UnetLayout, unetRenames } from '../diffusers/unet-names.js'

/** What adapter files call one module of a model. */
export interface ModuleNames {
  /** As the model's own checkpoint has it, CompVis' names. */
  readonly compvis: string
  /** As diffusers and PEFT write it: `unet.down_blocks.0.attentions.0.proj_in`. */
  readonly diffusers: string
  /** As kohya's scripts and the web interfaces write it: `lora_unet_down_blocks_0_attentions_0_proj_in`. */
  readonly kohya: string
}

/** The networks that adapters change: places in a checkpoint, prefixes in files. */
const networks = [
  { compvis: 'model.diffusion_model.', diffusers: 'unet.', kohya: 'lora_unet_' },
  { compvis: 'cond_stage_model.transformer.', diffusers: 'text_encoder.', kohya: 'lora_te_' },
  { compvis: 'conditioner.embedders.0.transformer.', diffusers: 'text_encoder.', kohya: 'lora_te1_' },
  { compvis: 'conditioner.embedders.1.transformer.', diffusers: 'text_encoder_2.', kohya: 'lora_te2_' },
] as const

/** The module of a weight, and the network it belongs to; undefined where it is no weight that adapters change. */
function place(weight: string) {
  const network = networks.find(({ compvis }) => weight.startsWith(compvis))
  if (network === undefined || !weight.endsWith('.weight')) return undefined
  return { network, inner: weight.slice(network.compvis.length, -'.weight'.length) }
}

const flat = (name: string): string => name.replaceAll('.', '_')

/**
 * What adapter files call the modules of a model, by its weights.
 *
 * @param weights names in the model's checkpoint
 * @param unet decides diffusers' names; a module for which diffusers has none keeps CompVis'
 */
export function moduleNames(weights: Iterable<string>, unet: UnetLayout): Map<string, ModuleNames> {
  const { toDiffusers } = unetRenames(unet)
  const names = new Map<string, ModuleNames>()
  for (const weight of weights) {
    const found = place(weight)
    if (found === undefined) continue
    const { network, inner } = found
    const renamed = network.diffusers === 'unet.' ? toDiffusers(`${inner}.weight`, [])?.name : undefined
    const theirs = renamed?.slice(0, -'.weight'.length) ?? inner
    names.set(weight, {
      compvis: network.compvis + inner,
      diffusers: network.diffusers + theirs,
      kohya: network.kohya + flat(theirs),
    })
  }
  return names
}

/** Every name under which adapter files may mean a module, and the weight that it stands for. */
export function weightsByName(modules: ReadonlyMap<string, ModuleNames>): Map<string, string> {
  const found = new Map<string, string>()
  for (const [weight, { compvis, diffusers, kohya }] of modules) {
    const { network, inner } = place(weight)!
    found.set(compvis, weight).set(diffusers, weight).set(kohya, weight)
    // kohya's scripts for SDXL write CompVis' names.
    found.set(network.kohya + flat(inner), weight)
    // The first diffusers wrote a UNet's processors without its prefix, PEFT does by itself; LyCORIS and ComfyUI have their own.
    if (network.diffusers === 'unet.') {
      const bare = diffusers.slice('unet.'.length)
      found
        .set(bare, weight)
        .set(`lycoris_${flat(bare)}`, weight)
        .set(`diffusion_model.${inner}`, weight)
    }
  }
  for (const [name, weight] of numbered(modules)) found.set(name, weight)
  return found
}

/** Within a block, the order in which diffusers' BasicTransformerBlock made its layers when cloneofsimo/lora was written. */
const inBlock = ['attn1.to_q', 'attn1.to_k', 'attn1.to_v', 'attn1.to_out.0', 'ff.net.0.proj'].concat(
  ['to_q', 'to_k', 'to_v', 'to_out.0'].map(name => `attn2.${name}`),
)
/** transformers, CLIPAttention.__init__. */
const inAttention = ['k_proj', 'v_proj', 'q_proj', 'out_proj']
/** diffusers' UNet2DConditionModel makes its middle last. */
const halves = ['down_blocks', 'up_blocks', 'mid_block']

/** The modules as cloneofsimo/lora counts them, `unet:0` and on: source lora_diffusion/lora.py, _find_modules_v2. */
function* numbered(modules: ReadonlyMap<string, ModuleNames>): Generator<[string, string]> {
  const unet: { weight: string; place: readonly number[] }[] = []
  const text: typeof unet = []
  for (const [weight, { diffusers }] of modules) {
    const [, half, before, layer] = /^unet\.([a-z]+_blocks?)\.(.*transformer_blocks\.\d+)\.(.+)$/.exec(diffusers) ?? []
    if (half !== undefined && inBlock.includes(layer!)) {
      const counts = before!.match(/\d+/g)!.map(Number)
      unet.push({ weight, place: [halves.indexOf(half), ...counts, inBlock.indexOf(layer!)] })
    }
    const [, index, name] = /^text_encoder\..*layers\.(\d+)\.self_attn\.(\w+)$/.exec(diffusers) ?? []
    if (name !== undefined && inAttention.includes(name))
      text.push({ weight, place: [Number(index), inAttention.indexOf(name)] })
  }
  for (const [prefix, list] of Object.entries({ unet, text_encoder: text })) {
    list.sort((a, b) => a.place.reduce((order, n, i) => order || n - b.place[i]!, 0))
    for (const [i, { weight }] of list.entries()) yield [`${prefix}:${i}`, weight]
  }
}
