import { type ModuleNames, type Renames, renamesBetween } from './module-names.js'

/** What of a first stage's configuration decides the names. */
export interface StageLayout {
  readonly ch_mult: readonly number[]
  readonly num_res_blocks: number
  readonly attn_resolutions: readonly number[]
  readonly resolution: number
  readonly attn_type?: string
}

/** Whether the blocks of a level, counted from the full resolution, have attention. */
export function attendsAt({ attn_resolutions, resolution, attn_type }: StageLayout, level: number): boolean {
  return attn_type !== 'none' && attn_resolutions.includes(Math.floor(resolution / 2 ** level))
}

/** model.py, AttnBlock, against attention_processor.py, Attention. */
const attention = new Map([
  ['norm', 'group_norm'],
  ['q', 'to_q'],
  ['k', 'to_k'],
  ['v', 'to_v'],
  ['proj_out', 'to_out.0'],
])
/** Before diffusers 0.17. */
const oldAttention = new Map([
  ['norm', 'group_norm'],
  ['q', 'query'],
  ['k', 'key'],
  ['v', 'value'],
  ['proj_out', 'proj_attn'],
])
const resnet = new Map([
  ['norm1', 'norm1'],
  ['conv1', 'conv1'],
  ['norm2', 'norm2'],
  ['conv2', 'conv2'],
  ['nin_shortcut', 'conv_shortcut'],
])

/** In the order of model.py, Encoder and Decoder; the other names are those of autoencoder_kl.py and vae.py. */
function* modules(ddconfig: StageLayout): Generator<ModuleNames> {
  const levels = ddconfig.ch_mult.length
  for (const [half, ours, theirs, extra] of [
    ['encoder', 'down', 'down_blocks', 0],
    ['decoder', 'up', 'up_blocks', 1],
  ] as const) {
    yield { compvis: `${half}.conv_in`, diffusers: `${half}.conv_in` }
    for (let level = 0; level < levels; level++) {
      const compvis = `${half}.${ours}.${level}`
      // CompVis counts both ways from the full resolution, diffusers in the order of use.
      const diffusers = `${half}.${theirs}.${half === 'encoder' ? level : levels - 1 - level}`
      for (let i = 0; i < ddconfig.num_res_blocks + extra; i++) {
        yield { compvis: `${compvis}.block.${i}`, diffusers: `${diffusers}.resnets.${i}`, inner: resnet }
        if (attendsAt(ddconfig, level)) yield* attentions(`${compvis}.attn.${i}`, `${diffusers}.attentions.${i}`)
      }
      yield half === 'encoder'
        ? { compvis: `${compvis}.downsample.conv`, diffusers: `${diffusers}.downsamplers.0.conv` }
        : { compvis: `${compvis}.upsample.conv`, diffusers: `${diffusers}.upsamplers.0.conv` }
    }
    yield { compvis: `${half}.mid.block_1`, diffusers: `${half}.mid_block.resnets.0`, inner: resnet }
    yield* attentions(`${half}.mid.attn_1`, `${half}.mid_block.attentions.0`)
    yield { compvis: `${half}.mid.block_2`, diffusers: `${half}.mid_block.resnets.1`, inner: resnet }
    yield { compvis: `${half}.norm_out`, diffusers: `${half}.conv_norm_out` }
    yield { compvis: `${half}.conv_out`, diffusers: `${half}.conv_out` }
  }
  yield { compvis: 'quant_conv', diffusers: 'quant_conv' }
  yield { compvis: 'quantize.embedding', diffusers: 'quantize.embedding' }
  yield { compvis: 'post_quant_conv', diffusers: 'post_quant_conv' }
}

function* attentions(compvis: string, diffusers: string): Generator<ModuleNames> {
  yield { compvis, diffusers, inner: attention }
  yield { compvis, diffusers, inner: oldAttention }
}

/** The tensors of an autoencoder in CompVis checkpoints and in diffusers' AutoencoderKL and VQModel. */
export function autoencoderRenames(ddconfig: StageLayout): Renames {
  return renamesBetween(modules(ddconfig), name => (/\.attn(_1|\.\d+)\.(q|k|v|proj_out)\.weight$/.test(name) ? 2 : 0))
}
