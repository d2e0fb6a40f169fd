import { z } from 'zod'
import { openSource, readBytes } from '#platform'
import { describePng, formatParameters, type Parameters, readSize } from '../image/index.js'
import { FileError } from '../platform/errors.js'
import type { Command } from '../schema/index.js'
import { type Checkpoint, isCheckpoint, openCheckpoint } from '../weights/checkpoint.js'
import { elementCount } from '../weights/dtypes.js'
import { openWeights } from '../weights/open-weights.js'
import type { Io } from './io.js'
import { printable } from './printable.js'

export const inspectCommand = {
  name: 'inspect',
  summary: 'Tell what a picture or a file of weights is, and what made it',
  details:
    'Of a PNG the settings that it carries; of weights (safetensors, torch, GGUF) how many tensors of which parts and ' +
    'kinds; of a checkpoint of latentkit also its configuration, recipe, progress and the fingerprint of its data.',
  options: z.strictObject({
    file: z.string().meta({ positional: true }).describe('a picture or a file of weights'),
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
}

/** `latentkit inspect`. */
export async function inspect(
  { file, tensors, json }: z.output<typeof inspectCommand.options>,
  io: Io,
): Promise<PictureReport | WeightsReport> {
  const report = (await pictureReport(file)) ?? (await weightsReport(file, tensors))
  if (!json) io.out(printable(report.kind === 'picture' ? pictureText(report) : weightsText(report)))
  return report
}

/** Undefined where the file is no picture. */
async function pictureReport(file: string): Promise<PictureReport | undefined> {
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

async function weightsReport(path: string, all: boolean): Promise<WeightsReport> {
  const file = await openWeights(path)
  try {
    const { tensors, metadata } = file
    const list = [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape, count: elementCount(shape) }))
    const own = isCheckpoint(metadata)
    return {
      kind: own ? 'checkpoint' : 'weights',
      file: path,
      tensors: tensors.size,
      parameters: list.reduce((sum, { count }) => sum + count, 0),
      dtypes: sums(list.map(({ dtype, count }) => [dtype, count])),
      parts: sums(list.map(({ name, count }) => [partOf(name), count])),
      metadata: Object.fromEntries([...metadata].filter(([key]) => !key.startsWith('latentkit.'))),
      ...(all && { list: list.map(({ name, dtype, shape }) => ({ name, dtype, shape })) }),
      ...(own && { checkpoint: await checkpointReport(path) }),
    }
  } catch (error) {
    throw error instanceof RangeError ? new FileError(path, error.message, { cause: error }) : error
  } finally {
    await file.close()
  }
}

async function checkpointReport(path: string): Promise<NonNullable<WeightsReport['checkpoint']>> {
  const { info, training, close } = await openCheckpoint(await openSource(path))
  await close()
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
  const { file, tensors, parameters, dtypes, parts, metadata, list = [], checkpoint } = report
  const what = checkpoint ? 'a checkpoint of latentkit' : 'weights'
  const shown = Object.entries(parts).slice(0, 20)
  const lines = [
    `${file}: ${what}, ${tensors} tensors, ${millions(parameters)} numbers`,
    `  ${entries(dtypes)}`,
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
  for (const { name, dtype, shape } of list) lines.push(`${name}  ${dtype} [${shape.join(', ')}]`)
  return `${lines.join('\n')}\n`
}

const millions = (count: number) => (count < 1e6 ? String(count) : `${(count / 1e6).toPrecision(4)}M`)

const entries = (totals: Readonly<Record<string, number>>) =>
  Object.entries(totals)
    .map(([key, count]) => `${key} ${millions(count)}`)
    .join(', ')

/** Nested plain data as indented lines; values are cut to a length that a person reads. */
function tree(value: object, indent = '  '): string[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const nested = typeof inner === 'object' && inner !== null && !Array.isArray(inner)
    if (nested && indent.length < 20) return [`${indent}${key}:`, ...tree(inner, `${indent}  `)]
    return [`${indent}${key}: ${(JSON.stringify(inner) ?? 'null').slice(0, 160)}`]
  })
}
