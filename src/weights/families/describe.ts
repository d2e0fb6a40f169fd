import type { Shapes } from './names.js'

/** Files that are no model by themselves, by names that only they have. */
const others: readonly (readonly [RegExp, string])[] = [
  [
    /(lora_|\.lora|hada_w|lokr_w|\.on_input$|^\w+:\d+:(up|down)$)/,
    'an adapter (LoRA or the like): load a model and add it with loras, --lora',
  ],
  [
    /^(control_model\.|controlnet_|input_hint_block\.)/,
    'a ControlNet: load a model and add it with controls, --control',
  ],
  [/(^|\.)joint_blocks\.\d/, 'Stable Diffusion 3 or another transformer, which latentkit does not have'],
  [/(^|\.)(double_blocks|double_layers)\.\d/, 'Flux or another transformer, which latentkit does not have'],
  [
    /^(down_blocks|up_blocks|mid_block)\./,
    'one network of a diffusers folder: load the folder that has its model_index.json',
  ],
  [
    /^(transformer\.)?text_model\./,
    'a text encoder alone: load a model and take it from here with textEncoders, --text-encoder',
  ],
  [
    /^(string_to_param|emb_params|\*$)/,
    'a textual-inversion embedding: load a model and add it with words, --embedding',
  ],
  [/^edm_(mean|vpred)/, 'Playground 2.5 or CosXL, whose noise levels latentkit does not have'],
  [
    /^(embedder\.model\.visual|noise_augmentor)\./,
    'unCLIP, which paints after embedded pictures and which latentkit does not have',
  ],
  [/\.motion_modules\./, 'a motion module'],
  [/^(blk|model\.layers)\.\d+\./, 'a language model, or a text encoder that latentkit does not have'],
  [/^(adapter\.)?body\.\d+\./, 'a T2I-adapter: load a model and add it with t2i, --t2i-adapter'],
  [/^(ip_adapter|image_proj)\./, 'an IP-adapter: load a model and add it with imagePrompt, --ip-adapter'],
]

/** Parts of whole models, by the places where their tensors lie. */
const parts: readonly (readonly [RegExp, string])[] = [
  [/^model\.diffusion_model\./, 'a UNet'],
  [/^first_stage_model\./, 'a first stage'],
  [/^(cond_stage_model|conditioner)\./, 'an embedder of conditions'],
]

/** What a file that is no model by itself looks like; undefined for any other. */
export function describeOther(tensors: Shapes): string | undefined {
  const names = [...tensors.keys()]
  const other = others.find(([pattern]) => names.some(name => pattern.test(name)))
  if (other) return `it looks like ${other[1]}`
  const has = (ending: string) => names.some(name => name.endsWith(ending))
  if (has('decoder.conv_in.weight') && has('encoder.conv_in.weight') && !has('quant_conv.weight'))
    return 'it looks like the autoencoder of Stable Diffusion 3 or Flux, without quant_conv, which latentkit does not have'
  return undefined
}

/** What a file that is of no family looks like, for people. */
export function describeTensors(tensors: Shapes): string {
  const other = describeOther(tensors)
  if (other) return other
  const names = [...tensors.keys()]
  const found = parts.filter(([pattern]) => names.some(name => pattern.test(name))).map(([, what]) => what)
  if (found.length === 0)
    return `its ${names.length} tensors (${names[0]?.slice(0, 80)}, …) are of no network that is known`
  const into = tensors.get('model.diffusion_model.input_blocks.0.0.weight')?.shape[1]
  if (into === undefined) return `it holds ${found.join(', ')} and is none of the families`
  const missing = lacking(names)
  if (missing.length > 0) return `it holds ${found.join(', ')} and lacks ${missing.join(' and ')}`
  return `it holds ${found.join(', ')} (the UNet takes ${into} channels) and is none of the families in that combination`
}

/** What a UNet does not go without, and how it is given from another file. */
function lacking(names: readonly string[]): string[] {
  const has = (pattern: RegExp) => names.some(name => pattern.test(name))
  const isTold = has(/^model\.diffusion_model\..*\.attn2\.to_k\.weight$/)
  return [
    ...(has(/^first_stage_model\./) ? [] : ['a first stage (give its file as vae, --vae)']),
    ...(isTold && !has(/^(cond_stage_model|conditioner)\./)
      ? ['a text encoder (give its file as textEncoders, --text-encoder; Stable Diffusion XL has two)']
      : []),
  ]
}
