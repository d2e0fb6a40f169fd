import { type Names, same } from './names.js'

/** What keys and shapes tell of a UNet, in the words of openaimodel.py, UNetModel; of its heads they tell nothing. */
export interface UnetWords {
  readonly in_channels: number
  readonly out_channels: number
  readonly model_channels: number
  readonly num_res_blocks: number | number[]
  readonly attention_resolutions: number[]
  readonly channel_mult: number[]
  readonly use_scale_shift_norm?: true
  readonly resblock_updown?: true
  readonly use_spatial_transformer?: true
  readonly use_linear_in_transformer?: true
  readonly transformer_depth?: number | number[]
  readonly transformer_depth_middle?: number
  readonly context_dim?: number
  readonly disable_self_attentions?: boolean[]
  readonly num_classes?: number | 'sequential' | 'timestep'
  readonly adm_in_channels?: number
}

interface Level {
  readonly blocks: number
  readonly channels: number
  readonly attends: boolean
  /** Transformer blocks of its attentions; 0 where they are plain. */
  readonly depth: number
  readonly selfless: boolean
}

/**
 * Reads the words of a UNet off its tensors; undefined where it is none that can be read so. The way up is read, for what
 * enlarges has a place of its own there, while residual blocks that halve look like any other on the way down.
 *
 * @param at what the file puts before the network's own names, with its dot
 */
export function unetWords(names: Names, at: string): UnetWords | undefined {
  const first = names.shape(`${at}input_blocks.0.0.weight`)
  const last = names.shape(`${at}out.2.weight`)
  const levels = levelsOf(names, at)
  if (first?.length !== 4 || last?.length !== 4 || levels === undefined) return undefined
  const [model_channels, in_channels] = first as [number, number]
  const transformers = levels.some(({ depth }) => depth > 0)
  const middle = names.count(`${at}middle_block.1.transformer_blocks`)
  const depths = depthsOf(levels, middle)
  const [block = ''] = transformerPlaces(names, at)
  const attends = levels.flatMap((level, i) => (level.attends ? [2 ** i] : []))
  return {
    in_channels,
    out_channels: last[0]!,
    model_channels,
    num_res_blocks: same(levels.map(({ blocks }) => blocks - 1)),
    attention_resolutions: attends.reverse(),
    channel_mult: levels.map(({ channels }) => channels / model_channels),
    ...(scalesAndShifts(names, at) && { use_scale_shift_norm: true }),
    ...(updown(names, at) && { resblock_updown: true }),
    ...(transformers && {
      use_spatial_transformer: true,
      context_dim: names.shape(`${block}.transformer_blocks.0.attn2.to_k.weight`)?.[1] ?? 0,
      transformer_depth: same(depths),
      ...(middle > 0 && middle !== depths.at(-1) && { transformer_depth_middle: middle }),
      ...(names.shape(`${block}.proj_in.weight`)?.length === 2 && { use_linear_in_transformer: true }),
      ...(levels.some(({ selfless }) => selfless) && {
        disable_self_attentions: levels.map(({ selfless }) => selfless),
      }),
    }),
    ...classesOf(names, at),
  }
}

/** Of levels without attention the originals say what the others have, or 1; of the last the middle's is told by it as well. */
function depthsOf(levels: readonly Level[], middle: number): number[] {
  const told = same(levels.flatMap(({ depth }) => depth || []))
  const elsewhere = typeof told === 'number' ? told : 1
  return levels.map(({ depth }, i) => depth || (i === levels.length - 1 && middle) || elsewhere)
}

/** From the first, which has the resolution of the latents. */
function levelsOf(names: Names, at: string): Level[] | undefined {
  const levels: Level[] = []
  let begin = 0
  for (let i = 0; names.has(`${at}output_blocks.${i}`); i++) {
    const block = `${at}output_blocks.${i}`
    const attends = names.has(`${block}.1.norm`)
    const enlarges = names.has(`${block}.${attends ? 2 : 1}`)
    const isLast = !names.has(`${at}output_blocks.${i + 1}`)
    if (!enlarges && !isLast) continue
    const channels = names.shape(`${block}.0.out_layers.3.weight`)?.[0]
    if (channels === undefined) return undefined
    levels.unshift({
      blocks: i + 1 - begin,
      channels,
      attends,
      depth: names.count(`${block}.1.transformer_blocks`),
      selfless: isSelfless(names, `${block}.1.transformer_blocks.0`),
    })
    begin = i + 1
  }
  return levels.length > 0 ? levels : undefined
}

/** Whether the first attention looks at the context: its keys come from another width than that of its queries. */
function isSelfless(names: Names, block: string): boolean {
  const [queries, keys] = ['q', 'k'].map(of => names.shape(`${block}.attn1.to_${of}.weight`)?.[1])
  return queries !== keys
}

function* transformerPlaces(names: Names, at: string): Generator<string> {
  if (names.has(`${at}middle_block.1.transformer_blocks`)) yield `${at}middle_block.1`
  for (let i = 0; names.has(`${at}output_blocks.${i}`); i++) {
    if (names.has(`${at}output_blocks.${i}.1.transformer_blocks`)) yield `${at}output_blocks.${i}.1`
  }
}

function scalesAndShifts(names: Names, at: string): boolean {
  const rows = (name: string) => names.shape(`${at}middle_block.0.${name}.weight`)?.[0]
  return rows('emb_layers.1') === 2 * (rows('out_layers.3') ?? 0)
}

function updown(names: Names, at: string): boolean {
  for (let i = 0; names.has(`${at}output_blocks.${i}`); i++) {
    if (names.has(`${at}output_blocks.${i}.1.in_layers`) || names.has(`${at}output_blocks.${i}.2.in_layers`))
      return true
  }
  return false
}

/** A table of labels, a vector through two layers, or a second time; see the network's `label_emb`. */
function classesOf(names: Names, at: string): Pick<UnetWords, 'num_classes' | 'adm_in_channels'> {
  const table = names.shape(`${at}label_emb.weight`)
  if (table !== undefined) return { num_classes: table[0]! }
  const vector = names.shape(`${at}label_emb.0.0.weight`)
  if (vector !== undefined) return { num_classes: 'sequential', adm_in_channels: vector[1]! }
  return names.has(`${at}label_emb.1.0`) ? { num_classes: 'timestep' } : {}
}
