/** A weight that an adapter changes, or one of three that lie below one another in it. */
export interface WeightPlace {
  readonly weight: string
  readonly third?: number
}

/** Where Stable Diffusion's checkpoints have OpenCLIP's text encoders, and what adapter files call them: XL's, its refiner's, 2's. */
const towers = [
  { at: 'conditioner.embedders.1.model.', diffusers: 'text_encoder_2.', kohya: 'lora_te2_' },
  { at: 'conditioner.embedders.0.model.', diffusers: 'text_encoder_2.', kohya: 'lora_te2_' },
  { at: 'cond_stage_model.model.', diffusers: 'text_encoder.', kohya: 'lora_te_' },
] as const

/** Modules of a layer by the names of OpenCLIP, as transformers has them, which adapters go by. */
const modules: Readonly<Record<string, readonly string[]>> = {
  // torch's MultiheadAttention keeps the three projections in one weight.
  'attn.in_proj_weight': ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
  'attn.out_proj.weight': ['self_attn.out_proj'],
  'mlp.c_fc.weight': ['mlp.fc1'],
  'mlp.c_proj.weight': ['mlp.fc2'],
}

/** Every name under which adapter files may mean a module of an OpenCLIP text encoder, and the weight that it stands for. */
export function* openClipModules(weights: Iterable<string>): Generator<readonly [string, WeightPlace]> {
  for (const weight of weights) {
    const tower = towers.find(({ at }) => weight.startsWith(at))
    const [, layer, inner] = /\.transformer\.resblocks\.(\d+)\.(.+)$/.exec(tower ? weight : '') ?? []
    const names = modules[inner ?? ''] ?? []
    for (const [third, name] of names.entries()) {
      const place = names.length > 1 ? { weight, third } : { weight }
      const path = `text_model.encoder.layers.${layer}.${name}`
      yield [tower!.diffusers + path, place]
      yield [tower!.kohya + path.replaceAll('.', '_'), place]
    }
  }
}
