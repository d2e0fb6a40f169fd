import { promptError } from './errors.js'

const TAG = /<([\p{L}\p{N}_]+):([^>]+)>/gu

/** A LoRA that a prompt asks for. */
export interface NamedNetwork {
  readonly name: string
  readonly weight: number
}

/**
 * A prompt of A1111's without its `<lora:name:weight>`, which the text encoders never see.
 *
 * @param has whether the model has a network of that name and weight in it
 * @throws LatentkitError for one that it has not
 * @see AUTOMATIC1111/stable-diffusion-webui modules/extra_networks.py, parse_prompt
 */
export function withoutNetworks(prompt: string, has: (network: NamedNetwork) => boolean): string {
  return prompt.replace(TAG, (tag, kind: string, args: string, at: number) => {
    const [name = '', weight = '1'] = args.split(':')
    if ((kind === 'lora' || kind === 'lyco') && has({ name, weight: Number(weight) })) return ''
    throw promptError(
      prompt,
      at,
      `found ${tag}`,
      'wanted a LoRA that was loaded with the model, by its name and weight',
    )
  })
}
