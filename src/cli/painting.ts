import { basename, dirname, extname, join } from 'node:path'
import { z } from 'zod'
import { fileInfo, readBytes } from '#platform'
import { describePng, detectTerminalPictures, type Image, type Parameters, terminalPicture } from '../image/index.js'
import type { ImagePromptFiles } from '../pipelines/adapters/image-prompt-files.js'
import type { GenerateEvent, GenerateOptions } from '../pipelines/generation/events.js'
import { load } from '../pipelines/loading/load.js'
import type { Model } from '../pipelines/model.js'
import { settingsOf } from '../pipelines/settings/parameters.js'
import { FileError, LatentkitError } from '../platform/errors.js'
import { weightPrecisions } from '../runtime/index.js'
import type { ProfileName } from '../samplers/index.js'
import { UsageError } from '../schema/index.js'
import { deviceFlags, file, several } from './flags.js'
import type { Io } from './io.js'
import { loraOf, modelFlags, weighed } from './model-flags.js'
import { lorasNamed } from './prompt-loras.js'
import { settingsOfFlags } from './setting-flags.js'
import { tellUnplaced } from './unplaced.js'

/** The flags of every command that paints, beside the settings of what it paints. */
export const paintingFlags = {
  prompt: z.string().optional().meta({ positional: true }).describe('what to paint; models without text take none'),
  out: z
    .string()
    .optional()
    .meta({ short: 'o', placeholder: 'FILE' })
    .describe('where to write (default PROMPT-SEED.png or CLASS-SEED.png); several pictures are numbered'),
  ...modelFlags,
  loraDir: file(
    'add the LoRAs that the prompt names as <lora:NAME:WEIGHT>, from this folder (prompt styles a1111 and sdcpp)',
    'FOLDER',
  ),
  embedding: several('know the words of a textual inversion'),
  control: several('follow a --hint by a ControlNet', 'FILE[:WEIGHT]'),
  t2iAdapter: several('follow a map (--t2i) by a T2I-adapter', 'FILE[:WEIGHT]'),
  ipAdapter: file(
    'take a picture (--image-prompt) as a prompt by an IP-adapter, which needs --ip-encoder',
    'FILE[:WEIGHT]',
  ),
  ipEncoder: file('the CLIP that sees the picture for --ip-adapter, such as its image_encoder/model.safetensors'),
  like: file('take every setting that is not given, the prompt and seed too, from this PNG', 'PICTURE'),
  ...deviceFlags,
  weights: z
    .enum(weightPrecisions)
    .optional()
    .describe('hold weights in fewer bits, or as the file has them: less memory, but slower steps (default f32)'),
  memory: z.enum(['small']).optional().describe('load each network only when it is used, and free the one before'),
  show: z.boolean().default(true).describe('do not show the pictures in the terminal'),
  json: z.boolean().default(false).describe('one JSON object for all pictures'),
}

/** Parsed flags of a command that paints; its settings are by their names. */
export type PaintingFlags = z.output<z.ZodObject<typeof paintingFlags>> & Readonly<Record<string, unknown>>

/** A picture that was written. */
export interface Written {
  readonly path: string
  readonly settings: Parameters
}

/** What a command paints: the settings that it knows, and how it starts. */
export interface Painting {
  readonly command: string
  readonly shape: z.ZodRawShape
  start(model: Model, prompt: string, options: GenerateOptions): AsyncGenerator<GenerateEvent, void>
}

/** Runs what a command paints, writes the pictures, and tells of them. */
export async function paint(flags: PaintingFlags, io: Io, painting: Painting): Promise<Written[]> {
  const { prompt, out, like, device, threads, show, json, lora, loraDir, embedding, control } = flags
  const { config, vae, textEncoder } = flags
  await refusePicture(flags, painting.command)
  const before = like === undefined ? undefined : await parametersAt(like)
  const known = before && settingsOf(before)
  const wanted = prompt ?? before?.prompt ?? ''
  const place = await placeOf(out)
  progress(io, 'loading')
  const given = await settingsOfFlags(painting.shape, flags)
  const { profile = 'compvis' } = { ...known, ...given } as { profile?: ProfileName }
  await using model = await load(flags.model, {
    config,
    // Of the tools CompVis' alone paints with them: scripts/txt2img.py, ema_scope.
    withoutAverages: flags.withoutAverages ?? profile !== 'compvis',
    vae,
    textEncoders: textEncoder,
    device,
    threads,
    weights: flags.weights,
    memory: flags.memory,
    loras: [...lora.map(loraOf), ...(loraDir === undefined ? [] : await lorasNamed(wanted, loraDir))],
    words: embedding,
    controls: control.map(weighed),
    t2i: flags.t2iAdapter.map(weighed),
    imagePrompt: imagePromptOf(flags),
  })
  await using refiner = await refinerOf(given.refiner, flags)
  tellUnplaced(model, io)
  if (before?.model !== undefined && before.model !== model.name) {
    io.err(`${like} was made by the model ${before.model}, this one will be by ${model.name}\n`)
  }
  const begun = io.clock()
  const written: Written[] = []
  let seeds: readonly number[] = []
  const showPicture = async (image: Image) =>
    show && io.err(await terminalPicture(image, detectTerminalPictures({ env: process.env, isTerminal: io.terminal })))
  for await (const event of painting.start(model, wanted, { ...known, ...given, refiner, signal: io.signal })) {
    if (event.type === 'start') {
      seeds = event.seeds
      if (event.tokensLeftOut > 0)
        io.err(`The prompt is too long for this model: its last ${event.tokensLeftOut} tokens are left out\n`)
    } else if (event.type === 'step') {
      progress(io, `step ${event.step}/${event.total}`)
      if (event.previews && io.terminal) for (const preview of event.previews) await showPicture(preview)
    } else {
      const { image, index, settings } = event
      const path = place({ index, seeds, prompt: wanted || String(flags.class ?? '') })
      await image.save(path)
      written.push({ path, settings })
      progress(io, '')
      await showPicture(image)
      if (!json) io.out(`${path}\n`)
    }
  }
  const seconds = (io.clock() - begun).toFixed(1)
  const { steps, sampler, seed } = written[0]!.settings
  io.err(`${steps} steps of ${sampler}, seed ${seed}${new Set(seeds).size > 1 ? ' and on' : ''}, ${seconds} s\n`)
  return written
}

/** Who forgets the flag of a picture writes its name where the prompt belongs. */
async function refusePicture({ prompt, image }: PaintingFlags, command: string): Promise<void> {
  if (prompt === undefined || image !== undefined || !/\.(png|jpe?g|webp|gif|avif)$/i.test(prompt)) return
  if ((await fileInfo(prompt).catch(() => undefined))?.kind !== 'file') return
  throw new UsageError(`latentkit ${command}`, [
    { path: prompt, message: `a picture where the prompt belongs; did you mean "--image ${prompt}"?` },
  ])
}

/** The model that flags name to go the end of the way. */
const refinerOf = async (file: unknown, { device, threads, weights, memory }: PaintingFlags) =>
  file === undefined ? undefined : load(file as string, { device, threads, weights, memory })

/** The IP-adapter that flags name. */
function imagePromptOf({ ipAdapter, ipEncoder }: PaintingFlags): ImagePromptFiles | undefined {
  if (ipAdapter === undefined && ipEncoder === undefined) return undefined
  if (ipAdapter === undefined || ipEncoder === undefined)
    throw new LatentkitError(
      '--ip-adapter and --ip-encoder go together: give the adapter and the CLIP that it was trained with',
    )
  return { ...weighed(ipAdapter), encoder: ipEncoder }
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

/** A picture to be placed. */
interface Placed {
  readonly index: number
  /** Of all pictures; frames and variations share theirs. */
  readonly seeds: readonly number[]
  readonly prompt: string
}

/** Where each picture goes: a file, numbered files, or files named after the prompt and the seed in a folder. */
async function placeOf(out: string | undefined): Promise<(placed: Placed) => string> {
  const folder = out !== undefined && (/[/\\]$/.test(out) || (await fileInfo(out))?.kind === 'folder')
  if (out === undefined || folder)
    return ({ index, seeds, prompt }) => {
      const seed = seeds[index]!
      const shared = seeds.indexOf(seed) !== seeds.lastIndexOf(seed)
      return join(out ?? '', `${fileName(prompt)}-${seed}${shared ? `-${index + 1}` : ''}.png`)
    }
  const kind = extname(out)
  if (kind !== '' && kind.toLowerCase() !== '.png')
    throw new FileError(out, 'would be no PNG; pictures are written as .png')
  const stem = join(dirname(out), basename(out, kind))
  return ({ index, seeds }) => (seeds.length > 1 ? `${stem}-${index + 1}.png` : `${stem}.png`)
}

/** A prompt as a file name: its letters and digits, hyphens between. */
const fileName = (prompt: string): string =>
  prompt
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .slice(0, 60)
    .replace(/^-|-$/g, '') || 'picture'
