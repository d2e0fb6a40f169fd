import { z } from 'zod'
import type { Lora } from '../pipelines/adapters/adapted-model.js'
import { UsageError } from '../schema/index.js'
import { file, several } from './flags.js'

/** A file with its weight behind a colon, `style.safetensors:0.7`; behind a drive's letter there is no number. */
export function weighed(text: string): { file: string; weight?: number } {
  const [, file, weight] = /^(.+):([+-]?(?:\d+\.?\d*|\.\d+))$/.exec(text) ?? []
  return file === undefined ? { file: text } : { file, weight: Number(weight) }
}

/**
 * An adapter with how much of it is added: `style.safetensors:0.7`, or `style.safetensors:unet=0.7,text=0.5,blocks=1/0/1`.
 *
 * @throws UsageError for a part of it that is none.
 */
export function loraOf(text: string): Lora {
  const [, file, told] = /^(.+):((?:[+-]?[\d.]|unet=|text=|blocks=)[^:\\]*)$/.exec(text) ?? []
  if (file === undefined || told === undefined) return { file: text }
  const numbers: Record<string, number[]> = {}
  let key = 'unet'
  for (const part of told.split(/[,/]/)) {
    const [, name = key, number = ''] = /^(?:(unet|text|blocks)=)?(.*)$/.exec(part)!
    key = name
    const value = number.trim() === '' ? Number.NaN : Number(number)
    const list = (numbers[key] ??= [])
    if (!Number.isFinite(value) || (key !== 'blocks' && list.push(value) > 1))
      throw new UsageError('--lora', [
        {
          path: '',
          message: `found ${JSON.stringify(part)} behind the file of ${JSON.stringify(text)}; wanted is a weight, as in ${file}:0.7, or weights of the UNet, the text encoders and the blocks, as in ${file}:unet=0.7,text=0.5,blocks=1/0/1`,
        },
      ])
    if (key === 'blocks') list.push(value)
  }
  const { unet, text: texts, blocks } = numbers
  return {
    file,
    ...(unet && { weight: unet[0]! }),
    ...(texts && { textWeight: texts[0]! }),
    ...(blocks && { blocks }),
  }
}

/** The flags that name a model, and what of it comes from other files. */
export const modelFlags = {
  model: z
    .string()
    .optional()
    .meta({ short: 'm', placeholder: 'FILE' })
    .describe(
      'a checkpoint of latentkit, of Stable Diffusion or latent diffusion (.safetensors, .ckpt, .gguf), a folder of diffusers, or the name of a model that pull fetched, org/name (default the bundled model)',
    ),
  config: file(
    'what the checkpoint of another tool is, where its tensors cannot tell: a family such as sd2-v, or a YAML file as CompVis has them',
    'NAME|FILE',
  ),
  withoutAverages: z
    .boolean()
    .optional()
    .describe(
      'take the weights as training left them, where a file holds their averages as well (default no, but with --profile diffusers, a1111, comfyui and sdcpp, whose tools do)',
    ),
  vae: file('take the first stage from this file: an autoencoder, another model, or a TAESD'),
  textEncoder: several(
    'take the text encoder from this file, that of CLIP or another model; twice for Stable Diffusion XL',
  ),
  lora: several(
    'add a LoRA, LoHa, LoKr or DoRA, by its weight (default 1); FILE:unet=0.7,text=0.5,blocks=1/0/… by weights for the UNet, the text encoders, and the blocks (text encoders first; 17 or 26 numbers for Stable Diffusion 1, 12 or 20 for XL)',
    'FILE[:WEIGHT]',
  ),
}
