/** Widths of the text encoders with few channels. */
const narrow = { clipL: 16, open: 24, own: 16 }

type Json = Readonly<Record<string, unknown>>

/** A model's configuration with as many levels and kinds of blocks, one block each, and few channels. */
export function narrowed({ first_stage_config, unet_config, conditioning, ...rest }: Json): Json {
  const { ddconfig, n_embed, ...stage } = first_stage_config as { ddconfig: Json; n_embed?: number }
  const words = unet_config as Record<string, unknown> & { transformer_depth?: number | number[] }
  const { transformer_depth: depth } = words
  const context_dim = contextOf(words, conditioning as Json | undefined)
  const few = words.num_head_channels ?? 32
  return {
    ...rest,
    first_stage_config: {
      ...stage,
      ...(n_embed && { n_embed: 16 }),
      ddconfig: { ...ddconfig, ch: 32, ch_mult: (ddconfig.ch_mult as number[]).map(() => 1), num_res_blocks: 1 },
    },
    unet_config: {
      ...words,
      model_channels: few,
      channel_mult: (words.channel_mult as number[]).map(() => 1),
      num_res_blocks: 1,
      ...(depth !== undefined && { transformer_depth: Array.isArray(depth) ? depth.map(n => Math.min(n, 3)) : 1 }),
      ...(context_dim && { context_dim }),
      ...(words.adm_in_channels !== undefined && {
        adm_in_channels:
          24 + 256 * ((conditioning as { sizes: { values: string[] } }).sizes.values.includes('target_size') ? 6 : 5),
      }),
    },
    ...(conditioning !== undefined && { conditioning: thin(conditioning as Json) }),
  }
}

function contextOf(words: Json, conditioning: Json | undefined): number | undefined {
  if (words.context_dim === undefined) return undefined
  const text = conditioning?.clip_text as { embedders?: readonly Json[]; width?: number } | undefined
  if (text === undefined) return narrow.own
  const widthOf = (tower: Json) => (tower.width === undefined ? narrow.clipL : narrow.open)
  return (text.embedders ?? [text as Json]).reduce((sum, tower) => sum + widthOf(tower), 0)
}

function thin(conditioning: Json): Json {
  const thinTower = (tower: Json): Json =>
    tower.width === undefined
      ? { ...tower, hidden_size: narrow.clipL, intermediate_size: 32, num_hidden_layers: 2, num_attention_heads: 1 }
      : { ...tower, width: narrow.open, heads: 1, layers: 2, embed_dim: narrow.open }
  const change: Record<string, (words: Json) => Json> = {
    clip_text: words =>
      'embedders' in words ? { ...words, embedders: (words.embedders as Json[]).map(thinTower) } : thinTower(words),
    text: words => ({ ...words, n_embed: narrow.own, n_layer: 1, heads: 1, dim_head: 64 }),
    layout: words => ({ ...words, n_embed: narrow.own, n_layer: 1, heads: 1, dim_head: 64 }),
    class: words => ({ ...words, embed_dim: narrow.own }),
    neighbours: words => ({ ...words, width: narrow.own }),
  }
  return Object.fromEntries(
    Object.entries(conditioning).map(([name, words]) => [name, change[name]?.(words as Json) ?? words]),
  )
}
