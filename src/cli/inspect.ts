import { z } from 'zod'
import { fileInfo, openSource, readBytes } from '#platform'
import { describePng, formatParameters, type Parameters, readSize } from '../image/index.js'
import { openTensors } from '../pipelines/loading/open-tensors.js'
import { FileError } from '../platform/errors.js'
import type { Command } from '../schema/index.js'
import { type Checkpoint, checkpointOf, isCheckpoint } from '../weights/checkpoint.js'
import { elementCount } from '../weights/dtypes.js'
import type { Io } from './io.js'
import { modelFlags } from './model-flags.js'
import { printable } from './printable.js'
import { type Recognition, recognition, recognitionText } from './recognition.js'
import { tree } from './tree.js'

export const inspectCommand = {
  name: 'inspect',
  summary: 'Tell what a picture or a file of weights is, and what made it',
  details:
    'Of a PNG the settings that it carries; of weights (safetensors, torch, GGUF, a folder of diffusers) how many tensors ' +
    'of which parts and kinds, which family of models they are of, and which tensors have no place in it; of a checkpoint ' +
    'of latentkit its configuration, recipe, progress and the fingerprint of its data.',
  options: z.strictObject({
    file: z.string().meta({ positional: true }).describe('a picture, a file of weights, or a folder of diffusers'),
    config: modelFlags.config,
    tensors: z.boolean().default(false).describe('list every tensor'),
    json: z.boolean().default(false).describe('one JSON object'),
  }),
  examples: [
    { line: 'latentkit inspect heart.png', what: 'prompt, seed and settings' },
    { line: 'latentkit inspect model.safetensors --json', what: 'all of it, for programs' },
  ],
} satisfies Command

/** What a picture says of itself. */
export interface PictureReport {
  readonly kind: 'picture'
  readonly file: string
  readonly width: number
  readonly height: number
  readonly parameters?: Parameters
  /** Other texts of a PNG, by keyword. */
  readonly text?: Readonly<Record<string, string>>
}

/** What a file of weights holds. */
export interface WeightsReport {
  readonly kind: 'checkpoint' | 'weights'
  readonly file: string
  readonly format: string
  readonly tensors: number
  readonly parameters: number
  /** Parameters by element type, most first. */
  readonly dtypes: Readonly<Record<string, number>>
  /** Parameters by the first part of the names, most first. */
  readonly parts: Readonly<Record<string, number>>
  readonly metadata: Readonly<Record<string, string>>
  readonly list?: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[]
  readonly checkpoint?: Omit<Checkpoint['info'], 'vocabulary'> & {
    /** Training steps done, in a checkpoint that can be resumed. */
    readonly step?: number
  }
  /** What a checkpoint of another tool was recognised as. */
  readonly recognised?: Recognition
}

/** `latentkit inspect`. */
export async function inspect(
  { file, tensors, config, json }: z.output<typeof inspectCommand.options>,
  io: Io,
): Promise<PictureReport | WeightsReport> {
  const report = (await pictureReport(file)) ?? (await weightsReport(file, { all: tensors, config }))
  if (!json) io.out(printable(report.kind === 'picture' ? pictureText(report) : weightsText(report)))
  return report
}

/** Undefined where the file is no picture. */
async function pictureReport(file: string): Promise<PictureReport | undefined> {
  // A folder, or the name of a model in the cache.
  if ((await fileInfo(file))?.kind !== 'file') return undefined
  const source = await openSource(file)
  const start = await source.read(0, Math.min(source.size, 2 ** 16)).finally(() => source.close())
  const size = readSize(start)
  if (size === undefined) return undefined
  if (!isPng(start)) return { kind: 'picture', file, ...size }
  const { width, height, parameters, text } = await describePng(await readBytes(file), file)
  const { parameters: _, ...others } = text
  return {
    kind: 'picture',
    file,
    width,
    height,
    ...(parameters && { parameters }),
    ...(Object.keys(others).length > 0 && { text: others }),
  }
}

const isPng = (start: Uint8Array) => start[0] === 0x89 && start[1] === 0x50

interface WeightsOptions {
  /** Lists every tensor. */
  readonly all: boolean
  readonly config: string | undefined
}

async function weightsReport(path: string, { all, config }: WeightsOptions): Promise<WeightsReport> {
  const file = await openTensors(path)
  try {
    const { tensors, metadata, format } = file
    const list = [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape, count: elementCount(shape) }))
    const own = isCheckpoint(metadata)
    return {
      kind: own ? 'checkpoint' : 'weights',
      file: path,
      format,
      tensors: tensors.size,
      parameters: list.reduce((sum, { count }) => sum + count, 0),
      dtypes: sums(list.map(({ dtype, count }) => [dtype, count])),
      parts: sums(list.map(({ name, count }) => [partOf(name), count])),
      metadata: Object.fromEntries([...metadata].filter(([key]) => !key.startsWith('latentkit.'))),
      ...(all && { list: list.map(({ name, dtype, shape }) => ({ name, dtype, shape })) }),
      ...(own && { checkpoint: checkpointReport(await checkpointOf(file)) }),
      ...(!own && { recognised: await recognition(file, config) }),
    }
  } catch (error) {
    throw error instanceof RangeError ? new FileError(path, error.message, { cause: error }) : error
  } finally {
    await file.close()
  }
}

function checkpointReport({ info, training }: Checkpoint): NonNullable<WeightsReport['checkpoint']> {
  const { vocabulary: _, ...rest } = info
  const step = training?.values.step
  return { ...rest, ...(typeof step === 'number' && { step }) }
}

/** `model.diffusion_model` of a CompVis name, else what stands before the first dot. */
const partOf = (name: string): string => /^(model\.diffusion_model|training_state\.\w+|[^.]*)/.exec(name)![0]

/** Sums by key, largest first. */
function sums(entries: readonly (readonly [string, number])[]): Record<string, number> {
  const totals = new Map<string, number>()
  for (const [key, count] of entries) totals.set(key, (totals.get(key) ?? 0) + count)
  return Object.fromEntries([...totals].sort(([, a], [, b]) => b - a))
}

function pictureText({ file, width, height, parameters, text = {} }: PictureReport): string {
  const lines = [`${file}: a picture of ${width}x${height} pixels`]
  if (parameters) lines.push('', formatParameters(parameters))
  for (const [key, value] of Object.entries(text)) lines.push('', `${key}: ${value}`)
  return `${lines.join('\n')}\n`
}

function weightsText(report: WeightsReport): string {
  const { file, format, tensors, parameters, dtypes, parts, metadata, list = [], checkpoint, recognised } = report
  const what = checkpoint ? 'a checkpoint of latentkit' : (recognised?.title ?? 'weights')
  const shown = Object.entries(parts).slice(0, 20)
  const lines = [
    `${file}: ${what}, ${tensors} tensors, ${millions(parameters)} numbers`,
    `  ${format}: ${entries(dtypes)}`,
    ...shown.map(([part, count]) => `  ${part}: ${millions(count)}`),
    ...(Object.keys(parts).length > shown.length
      ? [`  and ${Object.keys(parts).length - shown.length} other parts`]
      : []),
    ...Object.entries(metadata).map(([key, value]) => `  ${key}: ${value.slice(0, 200)}`),
  ]
  if (checkpoint) {
    const { library, step, data, config, recipe } = checkpoint
    lines.push(`written by latentkit ${library}${step === undefined ? '' : ` after ${step} training steps`}`)
    if (data !== undefined) lines.push(`data ${data}`)
    lines.push('config', ...tree(config))
    if (recipe) lines.push('recipe', ...tree(recipe))
  }
  if (recognised) lines.push(...recognitionText(recognised))
  for (const { name, dtype, shape } of list) lines.push(`${name}  ${dtype} [${shape.join(', ')}]`)
  return `${lines.join('\n')}\n`
}

const millions = (count: number) => (count < 1e6 ? String(count) : `${(count / 1e6).toPrecision(4)}M`)

const entries = (totals: Readonly<Record<string, number>>) =>
  Object.entries(totals)
    .map(([key, count]) => `${key} ${millions(count)}`)
    .join(', ')
