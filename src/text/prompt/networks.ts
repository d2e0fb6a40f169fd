import { promptError } from './errors.js'

const TAG = /<([\p{L}\p{N}_]+):([^>]+)>/gu

/** A LoRA that a prompt asks for. */
export interface NamedNetwork {
  readonly name: string
  readonly weight: number
}

/** What a tag of a prompt names; undefined where that is no LoRA by one weight. */
function networkOf(kind: string, args: string): NamedNetwork | undefined {
  const [name = '', weight = '1', ...more] = args.split(':')
  const known = (kind === 'lora' || kind === 'lyco') && more.length === 0 && Number.isFinite(Number(weight))
  return known ? { name, weight: Number(weight) } : undefined
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
        ? `wanted a LoRA that was loaded with the model; load "${network.name}" with it by weight ${network.weight} (loras; --lora, --lora-dir)`
        : 'wanted <lora:name:weight>, of a LoRA that was loaded with the model',
    )
  })
}
