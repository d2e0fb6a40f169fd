import { z } from 'zod'
import { FileError } from '../../platform/errors.js'
import { type Renames, renamesBetween } from './module-names.js'

/** The words of ldm/modules/encoders/modules.py, BERTEmbedder; its heads have 64 channels. */
export interface BertWords {
  readonly n_embed: number
  readonly n_layer: number
  readonly vocab_size: number
  readonly max_seq_len: number
  readonly heads: number
  readonly dim_head: number
}

/** Of diffusers' pipeline_latent_diffusion.py, LDMBertConfig, with its defaults. */
const configSchema = z.object({
  model_type: z.literal('ldmbert').default('ldmbert'),
  vocab_size: z.int().positive().default(30522),
  max_position_embeddings: z.int().positive().default(77),
  encoder_layers: z.int().positive().max(1000).default(32),
  encoder_ffn_dim: z.int().positive().default(5120),
  encoder_attention_heads: z.int().positive().default(8),
  head_dim: z.int().positive().default(64),
  d_model: z.int().positive().default(1280),
  activation_function: z.literal('gelu').default('gelu'),
})

/** Translates the config.json of a LDMBertModel; throws FileError naming the key that cannot be used. */
export function bertFromDiffusers(json: unknown, file: string): BertWords {
  const parsed = configSchema.safeParse(json)
  const refuse = (reason: string): never => {
    throw new FileError(file, `cannot be used as the config of the text encoder: ${reason}`)
  }
  if (!parsed.success) return refuse(z.prettifyError(parsed.error))
  const config = parsed.data
  if (config.encoder_ffn_dim !== 4 * config.d_model)
    refuse(`encoder_ffn_dim is ${config.encoder_ffn_dim}, wanted is four times d_model, ${config.d_model}`)
  return {
    n_embed: config.d_model,
    n_layer: config.encoder_layers,
    vocab_size: config.vocab_size,
    max_seq_len: config.max_position_embeddings,
    heads: config.encoder_attention_heads,
    dim_head: config.head_dim,
  }
}

/** The opposite. */
export const bertToDiffusers = (words: BertWords): Record<string, unknown> => ({
  _name_or_path: '',
  architectures: ['LDMBertModel'],
  model_type: 'ldmbert',
  activation_function: 'gelu',
  d_model: words.n_embed,
  encoder_attention_heads: words.heads,
  encoder_ffn_dim: 4 * words.n_embed,
  encoder_layers: words.n_layer,
  head_dim: words.dim_head,
  max_position_embeddings: words.max_seq_len,
  pad_token_id: 0,
  vocab_size: words.vocab_size,
})

/** The names of its tensors in CompVis' checkpoints (without `cond_stage_model.`) and in diffusers'. Source: x_transformer.py. */
export const bertRenames = ({ n_layer }: Pick<BertWords, 'n_layer'>): Renames =>
  renamesBetween([
    { compvis: 'transformer.token_emb', diffusers: 'model.embed_tokens' },
    { compvis: 'transformer.pos_emb.emb', diffusers: 'model.embed_positions' },
    { compvis: 'transformer.norm', diffusers: 'model.layer_norm' },
    { compvis: 'transformer.to_logits', diffusers: 'to_logits' },
    ...Array.from({ length: n_layer }, (_, i) => layer(i)).flat(),
  ])

function layer(i: number) {
  const [attend, forward] = [2 * i, 2 * i + 1].map(j => `transformer.attn_layers.layers.${j}`)
  const theirs = `model.layers.${i}`
  return [
    { compvis: `${attend}.0`, diffusers: `${theirs}.self_attn_layer_norm` },
    ...['q', 'k', 'v'].map(part => ({
      compvis: `${attend}.1.to_${part}`,
      diffusers: `${theirs}.self_attn.${part}_proj`,
    })),
    { compvis: `${attend}.1.to_out`, diffusers: `${theirs}.self_attn.out_proj` },
    { compvis: `${forward}.0`, diffusers: `${theirs}.final_layer_norm` },
    { compvis: `${forward}.1.net.0.0`, diffusers: `${theirs}.fc1` },
    { compvis: `${forward}.1.net.2`, diffusers: `${theirs}.fc2` },
  ]
}
