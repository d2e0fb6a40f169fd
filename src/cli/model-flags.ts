import { z } from 'zod'

/** A file with its weight behind a colon, `style.safetensors:0.7`; behind a drive's letter there is no number. */
export function weighed(text: string): { file: string; weight?: number } {
  const [, file, weight] = /^(.+):([+-]?(?:\d+\.?\d*|\.\d+))$/.exec(text) ?? []
  return file === undefined ? { file: text } : { file, weight: Number(weight) }
}

/** The flags `--model` and `--lora`. */
export const modelFlags = {
  model: z
    .string()
    .optional()
    .meta({ short: 'm', placeholder: 'FILE' })
    .describe('a checkpoint (default the bundled one)'),
  lora: z
    .array(z.string())
    .default([])
    .meta({ placeholder: 'FILE[:WEIGHT]' })
    .describe('add a LoRA, LoHa, LoKr or DoRA, by its weight (default 1); repeat for more'),
}
