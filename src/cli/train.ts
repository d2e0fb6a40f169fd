import { basename, dirname, extname, join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { z } from 'zod'
import { fileInfo, processor, readText, writeFileAtomic } from '#platform'
import { FileError } from '../platform/errors.js'
import { openDevice } from '../runtime/index.js'
import { type Command, parseConfig, UsageError } from '../schema/index.js'
import { type AutoencoderRecipe, autoencoderRecipe } from '../train/autoencoder-recipe.js'
import { type DiffusionRecipe, diffusionRecipe } from '../train/diffusion-recipe.js'
import type { TrainEvent } from '../train/events.js'
import { checkpointAt } from '../train/learner.js'
import { logged } from '../train/log.js'
import { type TrainOptions, trainAutoencoder } from '../train/train-autoencoder.js'
import { trainDiffusion } from '../train/train-diffusion.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import type { Io } from './io.js'
import { type FolderFlags, planOf } from './train-plan.js'
import { progressWriter } from './train-progress.js'

const count = z.int().positive()

export const trainCommand = {
  name: 'train',
  summary: 'Train a model on a folder of pictures, or one stage of it by a recipe',
  details:
    'With a FOLDER: looks at the pictures, says what will be trained and how long it takes, then trains an autoencoder ' +
    'and a diffusion model in its latents. Captions come from a captions.jsonl or .txt files beside the pictures. ' +
    'With "autoencoder" or "diffusion" and a RECIPE.yaml: trains one stage, everything as the recipe says. ' +
    'Ctrl-C saves and stops; --resume goes on.',
  options: z.strictObject({
    what: z.string().meta({ positional: true }).describe('a folder of pictures, or: autoencoder, diffusion'),
    recipe: z.string().optional().meta({ positional: true }).describe('a YAML file; see configs/ for examples'),
    out: z
      .string()
      .optional()
      .meta({ short: 'o', placeholder: 'FOLDER' })
      .describe('where checkpoints, samples and metrics go (default runs/NAME)'),
    resume: z.boolean().default(false).describe('go on with the run in --out, exactly where it stopped'),
    from: z
      .string()
      .optional()
      .meta({ placeholder: 'FILE' })
      .describe('begin with the weights of this checkpoint (recipes only)'),
    plan: z.boolean().default(false).describe('print the plan for a folder and stop'),
    size: count.optional().describe('side of the pictures in pixels: 32, 64, 128 or 256 (folders only)'),
    firstStageSteps: count.optional().describe('steps of the autoencoder (folders only; default 4000)'),
    steps: count.optional().describe('steps of the diffusion model (folders only; default 20000)'),
    seed: z.int().nonnegative().optional().describe('of everything that chance decides (folders only; default 0)'),
    flip: z.boolean().default(false).describe('mirror half of the pictures (folders only)'),
    device: z.enum(['auto', 'cpu', 'wasm', 'webgpu', 'cuda', 'directml', 'coreml']).default('cpu'),
    threads: count.optional().describe('threads of the processor (default all)'),
    json: z.boolean().default(false).describe('one JSON object a line for each event'),
  }),
  examples: [
    { line: 'latentkit train photos', what: 'both stages on a folder' },
    { line: 'latentkit train photos --plan', what: 'only look and tell how long it would take' },
    { line: 'latentkit train autoencoder first.yaml -o runs/first', what: 'the first stage by a recipe' },
    { line: 'latentkit train diffusion second.yaml -o runs/second --resume', what: 'go on after Ctrl-C or a crash' },
  ],
} satisfies Command

/** The checkpoint's name and the folder of metrics and samples of each stage. */
const files = { autoencoder: 'autoencoder.safetensors', diffusion: 'model.safetensors' } as const

type Flags = z.output<typeof trainCommand.options>

/** What a run left behind. */
export interface Trained {
  readonly checkpoint: string
  readonly step: number
  readonly total: number
  /** The command that generates with it. */
  readonly generate?: string
}

/** `latentkit train`: returns what was trained, undefined for a plan alone. */
export async function train(flags: Flags, io: Io): Promise<Trained | undefined> {
  if (flags.what !== 'autoencoder' && flags.what !== 'diffusion') return trainFolder(flags, io)
  const given = (['plan', 'size', 'firstStageSteps', 'steps', 'seed', 'flip'] as const).filter(name => flags[name])
  if (given.length > 0) throw usage(`--${given[0]}`, 'is for folders; in a recipe it is a line of its own')
  if (flags.recipe === undefined) throw usage('RECIPE', `missing; wanted a YAML file after "${flags.what}"`)
  const text = await readText(flags.recipe)
  const out = flags.out ?? join('runs', basename(flags.recipe, extname(flags.recipe)))
  // Paths in a recipe are seen from its own folder.
  const at = (path: string) => resolve(dirname(flags.recipe!), path)
  if (flags.what === 'autoencoder') {
    const recipe = parseConfig(text, autoencoderRecipe, flags.recipe)
    return trainFirstStage({ ...recipe, data: { ...recipe.data, folder: at(recipe.data.folder) } }, out, flags, io)
  }
  const recipe = parseConfig(text, diffusionRecipe, flags.recipe)
  const data = { ...recipe.data, folder: at(recipe.data.folder) }
  return trainSecondStage({ ...recipe, data, first_stage: at(recipe.first_stage) }, out, flags, io)
}

async function trainFolder(flags: Flags, io: Io): Promise<Trained | undefined> {
  if (flags.recipe !== undefined)
    throw usage(flags.recipe, 'a recipe follows "autoencoder" or "diffusion", not a folder')
  if (flags.from !== undefined) throw usage('--from', 'is for recipes')
  const out = flags.out ?? join('runs', basename(resolve(flags.what)))
  const plan = await planOf(flags.what, flags as FolderFlags, io)
  if (flags.json) io.out(`${JSON.stringify({ type: 'plan', ...plan.summary })}\n`)
  else io.err(plan.text)
  if (flags.plan) return undefined
  const firstStage = join(out, files.autoencoder)
  await writeRecipe(join(out, 'autoencoder.yaml'), plan.autoencoder)
  await writeRecipe(join(out, 'diffusion.yaml'), { ...plan.diffusion, first_stage: files.autoencoder })
  const finished = flags.resume && (await isFinished(firstStage, plan.autoencoder.training.steps))
  if (!finished) {
    const resumable = flags.resume && (await fileInfo(firstStage)) !== undefined
    const { step, total } = await trainFirstStage(plan.autoencoder, out, { ...flags, resume: resumable }, io)
    if (step < total) return { checkpoint: firstStage, step, total }
  }
  const resumable = flags.resume && (await fileInfo(join(out, files.diffusion))) !== undefined
  return trainSecondStage({ ...plan.diffusion, first_stage: firstStage }, out, { ...flags, resume: resumable }, io)
}

/** What was planned, to be changed and trained by hand; its folder of pictures is named from the root. */
async function writeRecipe(path: string, recipe: AutoencoderRecipe | DiffusionRecipe): Promise<void> {
  const data = { ...recipe.data, folder: resolve(recipe.data.folder) }
  await writeFileAtomic(path, stringify(JSON.parse(JSON.stringify({ ...recipe, data }))))
}

const trainFirstStage = (recipe: AutoencoderRecipe, out: string, flags: Flags, io: Io): Promise<Trained> =>
  runStage('autoencoder', out, flags, io, options => trainAutoencoder({ ...options, recipe }))

async function trainSecondStage(recipe: DiffusionRecipe, out: string, flags: Flags, io: Io): Promise<Trained> {
  const firstStage = await checkpointAt(recipe.first_stage)
  try {
    const stage = (options: Omit<TrainOptions<unknown>, 'recipe'>) => trainDiffusion({ ...options, recipe, firstStage })
    const trained = await runStage('diffusion', out, flags, io, stage)
    const prompt = recipe.cond_stage_config ? ` ${quoted(recipe.samples.prompts[0] ?? '')}` : ''
    const generate = `latentkit generate${prompt} --model ${trained.checkpoint}`
    if (trained.step === trained.total) io.err(`Make a picture with it:\n  ${generate}\n`)
    return { ...trained, generate }
  } finally {
    await firstStage.close()
  }
}

async function runStage(
  stage: keyof typeof files,
  out: string,
  flags: Flags,
  io: Io,
  start: (options: Omit<TrainOptions<unknown>, 'recipe'>) => AsyncIterable<TrainEvent>,
): Promise<Trained> {
  const path = join(out, files[stage])
  const there = await fileInfo(path)
  if (there && !flags.resume) {
    throw new FileError(
      path,
      'is there already, from an earlier run: go on with it by --resume, or choose another --out',
    )
  }
  const resume = flags.resume ? await checkpointAt(path) : undefined
  const from = flags.from === undefined || resume ? undefined : await checkpointAt(flags.from)
  const device = await openDevice(flags.device, { threads: flags.threads ?? processor().threads })
  const show = flags.json ? jsonWriter(io) : progressWriter(io)
  let trained = { checkpoint: path, step: 0, total: 0 }
  try {
    const events = start({ device, path, resume, start: from, signal: io.signal })
    for await (const event of logged(events, { folder: join(out, stage), clock: io.clock })) {
      show(event)
      trained = { checkpoint: path, step: event.step, total: event.total }
    }
  } finally {
    await device.dispose()
    await close(resume)
    await close(from)
  }
  return trained
}

const close = async (checkpoint: Checkpoint | undefined) => checkpoint?.close()

async function isFinished(path: string, steps: number): Promise<boolean> {
  if ((await fileInfo(path)) === undefined) return false
  const checkpoint = await checkpointAt(path)
  await checkpoint.close()
  return Number(checkpoint.training?.values.step ?? 0) >= steps
}

const jsonWriter =
  ({ out }: Io) =>
  (event: TrainEvent) => {
    const { image, ...rest } = event as TrainEvent & { image?: unknown }
    out(`${JSON.stringify(rest)}\n`)
  }

const quoted = (text: string) => `"${text.replaceAll(/["\\$`]/g, '\\$&')}"`

const usage = (path: string, message: string) => new UsageError('latentkit train', [{ path, message }])
