import { z } from 'zod'
import {
  type Converted,
  convert as converting,
  exportFormatNames,
  exportFormats,
  weightTypes,
} from '../pipelines/export/index.js'
import { bundledModel } from '../pipelines/loading/load.js'
import type { Command } from '../schema/index.js'
import type { Io } from './io.js'
import { loraOf, modelFlags } from './model-flags.js'
import { tellUnplaced } from './unplaced.js'

const formats = exportFormatNames.map(name => `${name}: ${exportFormats[name].what}`)

export const convertCommand = {
  name: 'convert',
  summary: 'Write a model as other tools load it',
  details:
    'Takes any model that latentkit loads, and writes it piece by piece, whatever its size; with --lora the adapters become ' +
    'part of the weights.',
  options: z.strictObject({
    out: z
      .string()
      .meta({ positional: true })
      .describe(
        'where to write; its name tells the format: .safetensors, .ckpt, .gguf, any other a folder of diffusers',
      ),
    ...modelFlags,
    format: z
      .enum(exportFormatNames)
      .optional()
      .describe(`the format, where the name does not tell it: ${formats.join('; ')}`),
    dtype: z
      .enum(weightTypes)
      .optional()
      .describe('the type of the weights (default as they are); those after bf16 are GGUF’s alone'),
    json: z.boolean().default(false).describe('one JSON object'),
  }),
  examples: [
    { line: 'latentkit convert --model runs/cats/model.safetensors cats', what: 'a folder for diffusers' },
    {
      line: 'latentkit convert --model v1-5-pruned.ckpt v1-5.gguf --dtype q8_0',
      what: 'matrices in 8 bits, convolutions in 16',
    },
    {
      line: 'latentkit convert --lora style.safetensors:0.7 emoji-style.safetensors --format latentkit',
      what: 'the bundled model with an adapter in it',
    },
  ],
} satisfies Command

/** `latentkit convert`. */
export async function convert(
  flags: z.output<typeof convertCommand.options>,
  io: Io,
): Promise<{ path: string } & Converted> {
  const { out: path, model = bundledModel(), lora, textEncoder, json, ...options } = flags
  const loras = lora.map(loraOf)
  const { unplaced } = await converting(model, path, { ...options, textEncoders: textEncoder, loras })
  tellUnplaced({ unplaced, name: String(model) }, io)
  if (!json) io.out(`${path}\n`)
  return { path, unplaced }
}
