import { z } from 'zod'
import { file, several } from './flags.js'

/** A file with its weight behind a colon, `style.safetensors:0.7`; behind a drive's letter there is no number. */
export function weighed(text: string): { file: string; weight?: number } {
  const [, file, weight] = /^(.+):([+-]?(?:\d+\.?\d*|\.\d+))$/.exec(text) ?? []
  return file === undefined ? { file: text } : { file, weight: Number(weight) }
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
    .default(false)
    .describe('take the weights as training left them, where a file holds their averages as well'),
  vae: file('take the first stage from this file: an autoencoder, another model, or a TAESD'),
  textEncoder: several(
    'take the text encoder from this file, that of CLIP or another model; twice for Stable Diffusion XL',
  ),
  lora: several('add a LoRA, LoHa, LoKr or DoRA, by its weight (default 1)', 'FILE[:WEIGHT]'),
}
