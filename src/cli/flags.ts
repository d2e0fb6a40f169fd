import { z } from 'zod'

/** A flag that names a file, and may be left out. */
export const file = (description: string, placeholder = 'FILE') =>
  z.string().optional().meta({ placeholder }).describe(description)

/** A flag that may be given several times. */
export const several = (description: string, placeholder = 'FILE') =>
  z.array(z.string()).default([]).meta({ placeholder }).describe(description)

/** The flags `--device` and `--threads`. */
export const deviceFlags = {
  device: z
    .enum(['auto', 'cpu', 'wasm', 'webgpu', 'cuda', 'directml', 'coreml'])
    .default('cpu')
    .describe('where networks run'),
  threads: z.int().positive().optional().describe('threads of the processor (default all)'),
}
