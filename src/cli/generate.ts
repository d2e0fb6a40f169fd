import { basename, dirname, extname, join } from 'node:path'
import { z } from 'zod'
import { fileInfo, readBytes } from '#platform'
import { pictureField, type RequestField, requestFields } from '../conditioning/index.js'
import { describePng, detectTerminalPictures, type Image, type Parameters, terminalPicture } from '../image/index.js'
import { load } from '../pipelines/load.js'
import { type GenerateSettings, generateSettings } from '../pipelines/settings/index.js'
import { settingsOf } from '../pipelines/settings/parameters.js'
import { FileError } from '../platform/errors.js'
import type { Command } from '../schema/index.js'
import type { Io } from './io.js'
import { modelFlags, weighed } from './model-flags.js'

const { shape } = generateSettings
/** A setting as a flag that may be left out, so that what a picture says can stand in for it. */
const flag = <T extends z.ZodType>(setting: z.ZodDefault<T>) =>
  setting.unwrap().optional().describe(`${setting.description} (default ${setting.def.defaultValue})`)

const fields = Object.entries<RequestField>(requestFields)
/** A flag for each condition that a model may take. */
const conditionFlags = Object.fromEntries(
  fields.map(([name, { describe, placeholder }]) => [
    name,
    z.string().optional().meta({ placeholder }).describe(describe),
  ]),
) as Record<keyof typeof requestFields, z.ZodOptional<z.ZodString>>

export const generateCommand = {
  name: 'generate',
  summary: 'Make pictures of a sentence, a class, a layout, a picture and more',
  details:
    'Writes PNG files that carry their settings, and shows them in terminals that can show pictures. Without --model ' +
    'the bundled one paints emoji of 128x128 pixels.',
  options: z.strictObject({
    prompt: z.string().optional().meta({ positional: true }).describe('what to paint; models without text take none'),
    out: z
      .string()
      .optional()
      .meta({ short: 'o', placeholder: 'FILE' })
      .describe('where to write (default PROMPT-SEED.png or CLASS-SEED.png); several pictures are numbered'),
    ...modelFlags,
    embedding: z
      .array(z.string())
      .default([])
      .meta({ placeholder: 'FILE' })
      .describe('know the words of a textual inversion; repeat for more'),
    control: z
      .array(z.string())
      .default([])
      .meta({ placeholder: 'FILE[:WEIGHT]' })
      .describe('follow a --hint by a ControlNet; repeat for more'),
    ...conditionFlags,
    count: shape.count.meta({ short: 'n' }).describe('how many pictures (default 1)'),
    seed: shape.seed,
    steps: flag(shape.steps),
    guidance: flag(shape.guidance),
    negativePrompt: shape.negativePrompt.unwrap().optional().describe(shape.negativePrompt.description!),
    sampler: flag(shape.sampler),
    schedule: flag(shape.schedule),
    eta: shape.eta,
    guide: z.string().optional().meta({ placeholder: 'PICTURE' }).describe(shape.guide.description!),
    guideBy: flag(shape.guideBy),
    guideWeight: shape.guideWeight,
    guideSize: shape.guideSize,
    classifier: z.string().optional().meta({ placeholder: 'FILE' }).describe(shape.classifier.description!),
    classifierWeight: flag(shape.classifierWeight),
    width: shape.width,
    height: shape.height,
    like: z
      .string()
      .optional()
      .meta({ placeholder: 'PICTURE' })
      .describe('take every setting that is not given, the prompt and seed too, from this PNG'),
    batch: flag(shape.batch),
    device: z.enum(['auto', 'cpu', 'wasm', 'webgpu', 'cuda', 'directml', 'coreml']).default('cpu'),
    threads: z.int().positive().optional().describe('threads of the processor (default all)'),
    show: z.boolean().default(true).describe('do not show the pictures in the terminal'),
    json: z.boolean().default(false).describe('one JSON object for all pictures'),
  }),
  examples: [
    { line: 'latentkit generate "red heart, noto emoji"', what: 'one picture by the bundled model' },
    {
      line: 'latentkit generate "a cat" --count 4 --seed 7 -o cat.png',
      what: 'cat-1.png to cat-4.png, the same every time',
    },
    {
      line: 'latentkit generate --model shoes.safetensors --class boots',
      what: 'of a model of classes; a wrong name lists them',
    },
    {
      line: 'latentkit generate --model fill.safetensors --image room.png --mask sofa.png',
      what: 'paint anew where the mask is white',
    },
    {
      line: 'latentkit generate "<my-cat>, blob emoji" --embedding my-cat.safetensors --lora style.safetensors:0.7',
      what: 'with a learned word and 0.7 of a LoRA',
    },
    { line: 'latentkit generate --like cat-2.png --steps 50', what: 'a picture again, with more steps' },
  ],
} satisfies Command

type Flags = z.output<typeof generateCommand.options>

/** A picture that was written. */
export interface Written {
  readonly path: string
  readonly settings: Parameters
}

/** `latentkit generate`. */
export async function generate(flags: Flags, io: Io): Promise<Written[]> {
  const { prompt, out, model: file, like, device, threads, show, json, lora, embedding, control, ...given } = flags
  const before = like === undefined ? undefined : await parametersAt(like)
  const known = before && settingsOf(before)
  const wanted = prompt ?? before?.prompt ?? ''
  progress(io, 'loading')
  await using model = await load(file, {
    device,
    threads,
    loras: lora.map(weighed),
    words: embedding,
    controls: control.map(weighed),
  })
  if (before?.model !== undefined && before.model !== model.name) {
    io.err(`${like} was made by the model ${before.model}, this one will be by ${model.name}\n`)
  }
  const begun = io.clock()
  const place = await placeOf(out, flags.count ?? 1)
  const written: Written[] = []
  const conditions = await conditionsOf(given)
  const guide = given.guide === undefined ? undefined : ((await pictureField('').read(given.guide)) as Image)
  const generation = model.generate(wanted, {
    ...known,
    ...(given as GenerateSettings),
    ...conditions,
    ...(guide && { guide }),
    signal: io.signal,
  })
  for await (const event of generation) {
    if (event.type === 'start') {
      if (event.tokensLeftOut > 0)
        io.err(`The prompt is too long for this model: its last ${event.tokensLeftOut} tokens are left out\n`)
    } else if (event.type === 'step') progress(io, `step ${event.step}/${event.total}`)
    else {
      const { image, index, seed, settings } = event
      const path = place(index, wanted || (flags.class ?? ''), seed)
      await image.save(path)
      written.push({ path, settings })
      progress(io, '')
      if (show)
        io.err(await terminalPicture(image, detectTerminalPictures({ env: process.env, isTerminal: io.terminal })))
      if (!json) io.out(`${path}\n`)
    }
  }
  const seconds = (io.clock() - begun).toFixed(1)
  const { steps, sampler, seed } = written[0]!.settings
  io.err(`${steps} steps of ${sampler}, seed ${seed}${written.length > 1 ? ' and on' : ''}, ${seconds} s\n`)
  return written
}

/** The conditions that flags name, read. */
async function conditionsOf(flags: Readonly<Record<string, unknown>>): Promise<GenerateSettings> {
  const read: Record<string, unknown> = {}
  for (const [name, field] of fields) if (typeof flags[name] === 'string') read[name] = await field.read(flags[name])
  return read
}

/** One line that is written over, on a terminal. */
function progress({ err, terminal }: Io, text: string): void {
  if (terminal) err(`\r\u001b[K${text}`)
}

async function parametersAt(picture: string): Promise<Parameters> {
  const { parameters } = await describePng(await readBytes(picture), picture)
  if (parameters === undefined)
    throw new FileError(picture, 'carries no settings: wanted is a PNG that latentkit or a web UI in its format wrote')
  return parameters
}

/** Where each picture goes: a file, numbered files, or files named after the prompt and the seed in a folder. */
async function placeOf(out: string | undefined, count: number) {
  const folder = out !== undefined && (/[/\\]$/.test(out) || (await fileInfo(out))?.kind === 'folder')
  if (out === undefined || folder)
    return (_: number, prompt: string, seed: number) => join(out ?? '', `${fileName(prompt)}-${seed}.png`)
  const kind = extname(out)
  if (kind !== '' && kind.toLowerCase() !== '.png')
    throw new FileError(out, 'would be no PNG; pictures are written as .png')
  const stem = join(dirname(out), basename(out, kind))
  return (index: number) => (count > 1 ? `${stem}-${index + 1}.png` : `${stem}.png`)
}

/** A prompt as a file name: its letters and digits, hyphens between. */
const fileName = (prompt: string): string =>
  prompt
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .slice(0, 60)
    .replace(/^-|-$/g, '') || 'picture'
