import { z } from 'zod'
import { pull as pulling } from '../hub/index.js'
import { LatentkitError } from '../platform/errors.js'
import type { Command } from '../schema/index.js'
import { several } from './flags.js'
import type { Io } from './io.js'

export const pullCommand = {
  name: 'pull',
  summary: 'Fetch a model from the Hugging Face hub',
  details:
    'Fills the cache that the tools of Hugging Face share, and writes where the model lies; --model takes the same name ' +
    'afterwards, without going online. An interrupted download goes on where it stopped, and every file is checked against its ' +
    'hash. Of a pipeline the weights of each part come once, unless --include says otherwise. HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT ' +
    'and HF_HUB_OFFLINE are honoured.',
  options: z.strictObject({
    name: z
      .string()
      .meta({ positional: true })
      .describe('organisation/name, or organisation/name:file; @revision may follow the name'),
    revision: z.string().optional().describe('a branch, tag or commit (default main)'),
    include: several('files that are wanted, such as "*.safetensors" or "unet/"', 'PATTERN'),
    exclude: several('files that are not wanted', 'PATTERN'),
    json: z.boolean().default(false).describe('one JSON object'),
  }),
  examples: [
    { line: 'latentkit pull stabilityai/sd-turbo', what: 'a pipeline, some gigabytes' },
    { line: 'latentkit pull org/models:style.safetensors', what: 'one file' },
    { line: 'latentkit pull org/name --include "*" --exclude "*.ckpt"', what: 'all but some' },
  ],
} satisfies Command

/** What was pulled. */
export interface Pulled {
  /** The folder of the model, or its file. */
  readonly path: string
  readonly commit: string
  readonly files: readonly { readonly name: string; readonly path: string; readonly cached: boolean }[]
}

/** `latentkit pull`. */
export async function pull(
  { name, json, ...selection }: z.output<typeof pullCommand.options>,
  { out, err, terminal, signal }: Io,
): Promise<Pulled> {
  const files: Pulled['files'][number][] = []
  const line = (text: string) => err(terminal ? `\r\u001b[K${text}` : `${text}\n`)
  for await (const event of pulling(name, { ...selection, signal })) {
    if (event.type === 'start') err(`${event.files} files, ${megabytes(event.bytes)} to fetch\n`)
    else if (event.type === 'progress') {
      if (terminal) line(`${event.file}: ${megabytes(event.loaded)} of ${megabytes(event.total)}`)
    } else if (event.type === 'waiting') line(`${event.file}: another process fetches it`)
    else if (event.type === 'retry') line(`${event.reason}; again in ${event.seconds} s${terminal ? '\n' : ''}`)
    else if (event.type === 'file') files.push({ name: event.file, path: event.path, cached: event.cached })
    else {
      if (terminal) line('')
      if (!json) out(`${event.path}\n`)
      return { path: event.path, commit: event.commit, files }
    }
  }
  throw new LatentkitError(`${name} was not pulled to its end`)
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
