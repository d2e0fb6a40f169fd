import type { UnetLayout } from '../diffusers/unet-names.js'

/** How much of an adapter is added, and where. */
export interface Strength {
  /** Of all of it, 1 if not given; negative leads away from what it was trained for. */
  readonly weight?: number | undefined
  /** Of its part for text encoders; `weight` if not given. */
  readonly textWeight?: number | undefined
  /**
   * By which its parts are multiplied: text encoders first, then the UNet's blocks from the way in to the way out; all of
   * them, or those with attention, 17 or 26 numbers for Stable Diffusion 1 and 12 or 20 for XL.
   */
  readonly blocks?: readonly number[] | undefined
}

/** As the command line takes it and pictures tell it: `0.8,text=0.5,blocks=1/0/1`. */
export function strengthText({ weight = 1, textWeight, blocks }: Strength): string {
  const text = textWeight === undefined ? '' : `,text=${textWeight}`
  return `${weight}${text}${blocks ? `,blocks=${blocks.join('/')}` : ''}`
}

/**
 * How much of an adapter a weight of the model gets, by the weight's name. Of a list for blocks with attention the others
 * get nothing; what lies in no block gets `weight`.
 *
 * Throws RangeError for a list of another length.
 *
 * Source: sd-webui-lora-block-weight, scripts/lora_block_weight.py, BLOCKID17 and ratiodealer.
 */
export function strengthAt(
  { weight = 1, textWeight = weight, blocks }: Strength,
  unet: UnetLayout,
): (name: string) => number {
  const places = blocksOf(unet)
  const attending = places.filter(({ attends }) => attends)
  const listed = [places, attending].find(list => list.length + 1 === blocks?.length)
  if (blocks && listed === undefined)
    throw new RangeError(
      `weights for ${blocks.length} blocks; this model takes ${attending.length + 1} (text encoders, and blocks with attention) or ${places.length + 1} (text encoders, and all blocks)`,
    )
  const [text = 1, ...rest] = blocks ?? []
  const byBlock = new Map(listed?.map(({ name }, i) => [name, rest[i]!]))
  return name => {
    const [, inner] = /^model\.diffusion_model\.(.*)$/.exec(name) ?? []
    if (inner === undefined) return textWeight * text
    const block = /^(?:(?:in|out)put_blocks\.\d+|middle_block)(?=\.)/.exec(inner)?.[0]
    if (block === undefined || listed === undefined) return weight
    return weight * (byBlock.get(block) ?? 0)
  }
}

/** The blocks of a UNet in their order. */
function blocksOf({ channel_mult, num_res_blocks, attention_resolutions }: UnetLayout) {
  const levels = channel_mult.map((_, level) => ({
    residual: typeof num_res_blocks === 'number' ? num_res_blocks : num_res_blocks[level]!,
    attends: attention_resolutions.includes(2 ** level),
  }))
  const into = levels.flatMap(({ residual, attends }, level) => [
    ...new Array<boolean>(residual).fill(attends),
    ...(level < levels.length - 1 ? [false] : []),
  ])
  const out = levels.toReversed().flatMap(({ residual, attends }) => new Array<boolean>(residual + 1).fill(attends))
  return [
    ...[false, ...into].map((attends, i) => ({ name: `input_blocks.${i}`, attends })),
    { name: 'middle_block', attends: true },
    ...out.map((attends, i) => ({ name: `output_blocks.${i}`, attends })),
  ]
}
