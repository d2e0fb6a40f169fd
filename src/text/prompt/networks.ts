import { promptError } from './errors.js'

const TAG = /<([\p{L}\p{N}_]+):([^>]+)>/gu

/** A LoRA that a prompt asks for, and how much of it. */
export interface NamedNetwork {
  readonly name: string
  /** Of all of it, or where the text encoders have their own, of the UNet's part. */
  readonly weight: number
  readonly textWeight?: number
  /** Weights of blocks, text encoders first. */
  readonly blocks?: readonly number[]
}

/**
 * What a tag of a prompt names: `name:weight`, `name:text:unet`, the same with `te=` and `unet=`, and weights of blocks as
 * `lbw=`; undefined where that is no LoRA.
 *
 * Sources: A1111, extensions-builtin/Lora/extra_networks_lora.py; sd-webui-lora-block-weight, syntaxdealer.
 */
function networkOf(kind: string, args: string): NamedNetwork | undefined {
  if (kind !== 'lora' && kind !== 'lyco') return undefined
  const [name = '', ...rest] = args.split(':')
  const named = new Map<string, string>()
  for (const [i, part] of rest.entries()) {
    const [, key, value] = /^(te|unet|lbw)=(.*)$/.exec(part) ?? [part, ['te', 'unet'][i] ?? '', part]
    if (named.has(key!) || key === '') return undefined
    named.set(key!, value!)
  }
  const numberOf = (text: string) => (text.trim() === '' ? Number.NaN : Number(text))
  const text = numberOf(named.get('te') ?? '1')
  const weight = numberOf(named.get('unet') ?? String(text))
  const blocks = named.get('lbw')?.split(',').map(numberOf)
  if (![text, weight, ...(blocks ?? [])].every(Number.isFinite)) return undefined
  return { name, weight, ...(text !== weight && { textWeight: text }), ...(blocks && { blocks }) }
}

/**
 * The LoRAs that a prompt of A1111's or stable-diffusion.cpp's asks for.
 *
 * @example namedNetworks('a cat <lora:ink:0.7>') // [{ name: 'ink', weight: 0.7 }]
 */
export const namedNetworks = (prompt: string): readonly NamedNetwork[] =>
  [...prompt.matchAll(TAG)].flatMap(([, kind, args]) => networkOf(kind!, args!) ?? [])

/**
 * Such a prompt without its `<lora:name:weight>`, which the text encoders never see.
 *
 * @param has whether the model has a network of that name and weight in it
 * @throws LatentkitError for one that it has not
 * @see AUTOMATIC1111/stable-diffusion-webui modules/extra_networks.py, parse_prompt; leejet/stable-diffusion.cpp
 *   examples/common/common.cpp, extract_and_remove_lora
 */
export function withoutNetworks(prompt: string, has: (network: NamedNetwork) => boolean): string {
  return prompt.replace(TAG, (tag, kind: string, args: string, at: number) => {
    const network = networkOf(kind, args)
    if (network && has(network)) return ''
    throw promptError(
      prompt,
      at,
      `found ${tag}`,
      network
        ? `wanted a LoRA that was loaded with the model; load "${network.name}" with it by ${weightsOf(network)} (loras; --lora, --lora-dir)`
        : 'wanted <lora:name:weight>, of a LoRA that was loaded with the model',
    )
  })
}

const weightsOf = ({ weight, textWeight, blocks }: NamedNetwork): string =>
  `weight ${weight}${textWeight === undefined ? '' : `, ${textWeight} for text`}${blocks ? `, blocks ${blocks.join('/')}` : ''}`
