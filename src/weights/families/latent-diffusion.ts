import {
  beside,
  type ConfigJson,
  type Family,
  factorOf,
  isAutoencoder,
  latentChannels,
  linearBetas,
  type Parts,
} from './family.js'
import type { Names } from './names.js'

/*
 * The models of the paper, and of retrieval-augmented diffusion. Source: CompVis/latent-diffusion, models/ldm and configs.
 * How many heads attention has is in no tensor: the published configs of each kind say it.
 */

const root = 'cond_stage_model'

interface Kind {
  readonly name: string
  readonly title: string
  fits(parts: Parts): boolean
  heads(parts: Parts): ConfigJson
  conditioning?(parts: Parts): ConfigJson
  readonly betas: (parts: Parts) => ConfigJson
  readonly scale?: (parts: Parts) => number
  /** Side of the latents in training, where that is not 256 pixels. */
  readonly size?: number
}

const narrowHeads = () => ({ num_head_channels: 32 })
const eightHeads = () => ({ num_heads: 8 })
/** Where the first stage embeds the condition as well (`__is_first_stage__`), its weights are in the file a second time. */
const embedderless = ({ names }: Parts) =>
  !names.has('conditioner') && (!names.has(root) || names.has(`${root}.encoder.conv_in`))
const late = () => linearBetas(0.0015, 0.0205)
const middle = () => linearBetas(0.0015, 0.0195)
const early = () => linearBetas(0.0015, 0.0155)
/** The large text model alone has this first stage and is published with its scale. */
const isLarge = ({ stage }: Parts): boolean => isAutoencoder(stage) && stage.n_embed === undefined

const kinds: readonly Kind[] = [
  {
    name: 'ldm-unconditional',
    title: 'latent diffusion without conditions',
    fits: parts => embedderless(parts) && beside(parts) === 0 && parts.unet!.context_dim === undefined,
    // lsun_churches256 is the one over a KL autoencoder, and the one that resizes in residual blocks.
    heads: ({ unet }) => (unet!.resblock_updown ? eightHeads() : narrowHeads()),
    betas: ({ unet }) => (unet!.resblock_updown ? early() : middle()),
  },
  {
    name: 'ldm-class',
    title: 'latent diffusion by class',
    fits: ({ names }) => names.shape(`${root}.embedding.weight`) !== undefined,
    // cin256-v2 has one head, cin256, of three levels, heads of 32 channels.
    heads: ({ unet }) => (unet!.channel_mult.length === 4 ? { num_heads: 1 } : narrowHeads()),
    conditioning: ({ names }) => ({ class: classesOf(names) }),
    betas: middle,
  },
  {
    name: 'ldm-text',
    title: 'latent diffusion by text',
    fits: ({ names }) => transformerWords(names)?.vocab_size === bertPieces,
    heads: parts => (isLarge(parts) ? eightHeads() : narrowHeads()),
    conditioning: ({ names }) => ({ text: transformerWords(names) }),
    betas: parts => (isLarge(parts) ? linearBetas(0.00085, 0.012) : middle()),
    scale: parts => (isLarge(parts) ? 0.18215 : 1),
  },
  {
    name: 'ldm-layout',
    title: 'latent diffusion by layout',
    fits: ({ names }) => (transformerWords(names)?.vocab_size ?? Infinity) <= mostLabels,
    heads: narrowHeads,
    conditioning: ({ names }) => ({ layout: layoutOf(names) }),
    betas: late,
  },
  {
    name: 'ldm-semantic',
    title: 'latent diffusion by semantic map',
    fits: ({ names }) => names.shape(`${root}.channel_mapper.weight`) !== undefined,
    heads: eightHeads,
    conditioning: ({ names, stage }) => {
      const [out_channels, in_channels] = names.shape(`${root}.channel_mapper.weight`)!
      return { map: { in_channels, out_channels, n_stages: Math.log2(factorOf(stage!)) } }
    },
    betas: late,
  },
  {
    name: 'ldm-inpainting',
    title: 'latent diffusion for inpainting',
    fits: parts => embedderless(parts) && beside(parts) === latentChannels(parts.stage!) + 1,
    heads: eightHeads,
    conditioning: () => ({ mask: { form: 'ldm' } }),
    betas: late,
  },
  {
    name: 'ldm-super-resolution',
    title: 'latent diffusion for super-resolution',
    fits: parts => embedderless(parts) && beside(parts) === 3,
    heads: narrowHeads,
    conditioning: () => ({ low_resolution: { factor: 4 } }),
    betas: early,
  },
  {
    name: 'rdm',
    title: 'retrieval-augmented diffusion',
    fits: parts => embedderless(parts) && parts.unet!.context_dim !== undefined && factorOf(parts.stage!) === 16,
    heads: narrowHeads,
    // scripts/knn2img.py: a prompt and ten neighbours.
    conditioning: ({ unet }) => ({ neighbours: { width: unet!.context_dim, k: 11, network: 'CLIP ViT-L/14' } }),
    betas: () => linearBetas(0.0015, 0.015),
    scale: () => 0.22765929,
    size: 48,
  },
]

export const latentDiffusions: readonly Family[] = kinds.map(kind => ({
  name: kind.name,
  title: kind.title,
  needs: ['unet', 'stage'],
  fits: parts => parts.unet !== undefined && parts.stage !== undefined && parts.towers.length === 0 && kind.fits(parts),
  config: parts => ({
    first_stage_config: parts.stage,
    scale_factor: kind.scale?.(parts) ?? 1,
    unet_config: {
      image_size: kind.size ?? 256 / factorOf(parts.stage!),
      ...parts.unet,
      ...kind.heads(parts),
    },
    ...(kind.conditioning && { conditioning: kind.conditioning(parts) }),
    diffusion: kind.betas(parts),
  }),
}))

/** Word pieces of bert-base-uncased, by which BERTEmbedder reads texts; layouts have numbers of their own. */
export const bertPieces = 30522
/** Layouts of the paper have 8192 tokens; each is a name here, so that a hostile file must not say how many. */
const mostLabels = 2 ** 16

/** ClassEmbedder; of 1001 classes the last is ImageNet's thousand's none. The file keeps no names. */
function classesOf(names: Names): ConfigJson {
  const [n_classes, embed_dim] = names.shape(`${root}.embedding.weight`)!
  return { into: 'crossattn', n_classes, embed_dim, ...(n_classes === 1001 && { names: numbered(1000) }) }
}

/** BERTEmbedder's transformer, ldm/modules/x_transformer.py, whose heads have 64 channels. */
function transformerWords(names: Names) {
  const at = `${root}.transformer`
  const words = names.shape(`${at}.token_emb.weight`)
  const places = names.shape(`${at}.pos_emb.emb.weight`)
  const inner = names.shape(`${at}.attn_layers.layers.0.1.to_q.weight`)?.[0]
  if (!words || !places || inner === undefined) return undefined
  return {
    n_embed: words[1]!,
    n_layer: names.count(`${at}.attn_layers.layers`) / 2,
    vocab_size: words[0]!,
    max_seq_len: places[0]!,
    heads: Math.max(1, Math.floor(inner / 64)),
    dim_head: Math.min(64, inner),
  }
}

/** Three tokens for each object and, where it is told what part of the picture is seen, two more. */
function layoutOf(names: Names): ConfigJson {
  const { max_seq_len, ...words } = transformerWords(names)!
  return {
    ...words,
    max_objects: Math.floor(max_seq_len / 3),
    encode_crop: max_seq_len % 3 === 2,
    labels: numbered(words.vocab_size - 1),
    // Nothing in its configuration leaves conditions out.
    guided: false,
  }
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i))
