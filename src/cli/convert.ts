import { z } from 'zod'
import { adaptModel } from '../pipelines/adapted-model.js'
import { checkpointModel } from '../pipelines/checkpoint-model.js'
import { writeCompvis, writeDiffusers } from '../pipelines/export.js'
import { bundledModel } from '../pipelines/load.js'
import type { Command } from '../schema/index.js'
import { checkpointAt } from '../train/learner.js'
import type { Io } from './io.js'
import { modelFlags, weighed } from './model-flags.js'

export const convertCommand = {
  name: 'convert',
  summary: 'Write a model as other tools load it',
  details:
    "Writes one file with the names of CompVis' checkpoints, or a folder of diffusers; with --lora the adapters become " +
    'part of the weights.',
  options: z.strictObject({
    out: z
      .string()
      .meta({ positional: true })
      .describe('a .safetensors file for CompVis’ names, anything else is the folder of diffusers'),
    ...modelFlags,
    json: z.boolean().default(false).describe('one JSON object'),
  }),
  examples: [
    { line: 'latentkit convert --model runs/cats/model.safetensors cats', what: 'a folder for diffusers' },
    {
      line: 'latentkit convert --lora style.safetensors:0.7 emoji-style.safetensors',
      what: 'the bundled model with an adapter in it',
    },
  ],
} satisfies Command

/** `latentkit convert`. */
export async function convert(flags: z.output<typeof convertCommand.options>, { out }: Io): Promise<{ path: string }> {
  const { out: path, model: file, lora, json, config, withoutAverages } = flags
  const checkpoint = await checkpointAt(file ?? bundledModel(), { config, withoutAverages })
  const base = checkpointModel(checkpoint)
  const model = await adaptModel(base, { loras: lora.map(weighed) })
  try {
    await (path.endsWith('.safetensors') ? writeCompvis : writeDiffusers)(model, path)
  } finally {
    await model.checkpoint.close()
  }
  if (!json) out(`${path}\n`)
  return { path }
}
