import type { HuggingFaceWords, OpenClipWords } from '../families/tower-words.js'
import { rowsOf, transposed } from '../stored.js'
import type { StoredTensor } from '../tensor-file.js'
import { renamesBetween } from './module-names.js'

/** CLIP's text encoder in the words of Hugging Face or of OpenCLIP. */
export type TextEncoderWords =
  | (HuggingFaceWords & { readonly hidden_act: string; readonly layer_norm_eps: number })
  | (OpenClipWords & { readonly activation: string })

interface Options {
  /** Layers that are kept: pipelines of diffusers take the last one's output where the originals take an earlier one's. */
  readonly layers: number
  /** Whether the projection of the pooled text belongs to it. */
  readonly projected: boolean
}

/** The config.json of transformers' CLIPTextModel, or CLIPTextModelWithProjection. */
export function textEncoderToDiffusers(
  words: TextEncoderWords,
  { layers, projected }: Options,
): Record<string, unknown> {
  const sizes =
    'width' in words
      ? {
          hidden_act: words.activation,
          hidden_size: words.width,
          intermediate_size: 4 * words.width,
          layer_norm_eps: 1e-5,
          max_position_embeddings: words.context_length,
          num_attention_heads: words.heads,
          projection_dim: words.embed_dim,
        }
      : {
          hidden_act: words.hidden_act,
          hidden_size: words.hidden_size,
          intermediate_size: words.intermediate_size,
          layer_norm_eps: words.layer_norm_eps,
          max_position_embeddings: words.max_position_embeddings,
          num_attention_heads: words.num_attention_heads,
          projection_dim: words.projection_dim ?? words.hidden_size,
        }
  return {
    architectures: [projected ? 'CLIPTextModelWithProjection' : 'CLIPTextModel'],
    model_type: 'clip_text_model',
    ...sizes,
    num_hidden_layers: layers,
    vocab_size: words.vocab_size,
    // transformers finds the end of a text by the largest id where this is 2.
    bos_token_id: 0,
    eos_token_id: 2,
    pad_token_id: 1,
  }
}

/** The tensors of a text encoder by the names of transformers; what it has no place for is left out. */
export function textEncoderTensors(
  words: TextEncoderWords,
  tensors: ReadonlyMap<string, StoredTensor>,
  { layers, projected }: Options,
): Map<string, StoredTensor> {
  const own = 'width' in words ? fromOpenClip(tensors, words) : tensors
  const out = new Map<string, StoredTensor>()
  for (const [name, tensor] of own) {
    const layer = /^text_model\.encoder\.layers\.(\d+)\./.exec(name)?.[1]
    const isPart =
      layer !== undefined ? Number(layer) < layers : /^text_model\.(embeddings|final_layer_norm)\./.test(name)
    const isNumbers = name.endsWith('.position_ids')
    if ((isPart && !isNumbers) || (projected && name === 'text_projection.weight')) out.set(name, tensor)
  }
  return out
}

/** openai/CLIP, clip/model.py, ResidualAttentionBlock, against transformers, CLIPEncoderLayer. */
const block = new Map([
  ['ln_1', 'layer_norm1'],
  ['ln_2', 'layer_norm2'],
  ['attn.out_proj', 'self_attn.out_proj'],
  ['mlp.c_fc', 'mlp.fc1'],
  ['mlp.c_proj', 'mlp.fc2'],
])

/** Both families' names: queries, keys and values are one weight in OpenCLIP's, and its projection multiplies from the right. */
function fromOpenClip(
  tensors: ReadonlyMap<string, StoredTensor>,
  { layers, width }: { readonly layers: number; readonly width: number },
): Map<string, StoredTensor> {
  const at = (i: number) => `text_model.encoder.layers.${i}`
  const { toDiffusers } = renamesBetween([
    { compvis: 'token_embedding', diffusers: 'text_model.embeddings.token_embedding' },
    { compvis: 'ln_final', diffusers: 'text_model.final_layer_norm' },
    ...Array.from({ length: layers }, (_, i) => ({
      compvis: `transformer.resblocks.${i}`,
      diffusers: at(i),
      inner: block,
    })),
  ])
  const out = new Map<string, StoredTensor>()
  for (const [name, tensor] of tensors) {
    const [, layer, kind] = /^transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$/.exec(name) ?? []
    if (name === 'positional_embedding') out.set('text_model.embeddings.position_embedding.weight', tensor)
    else if (name === 'text_projection') out.set('text_projection.weight', transposed(tensor))
    else if (layer !== undefined) {
      for (const [i, part] of ['q_proj', 'k_proj', 'v_proj'].entries())
        out.set(`${at(Number(layer))}.self_attn.${part}.${kind}`, rowsOf(tensor, i * width, width))
    } else {
      const renamed = toDiffusers(name, tensor.shape)
      if (renamed) out.set(renamed.name, tensor)
    }
  }
  return out
}
