import { basename, dirname, extname, join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { z } from 'zod'
import { fileInfo, lockFile, processor, readText, writeFileAtomic } from '#platform'
import { type ConditioningName, conditionings, type RequestField, withFiles } from '../conditioning/index.js'
import { FileError } from '../platform/errors.js'
import { type Device, openDevice } from '../runtime/index.js'
import { type Command, parseConfig, UsageError } from '../schema/index.js'
import { type ClassifierRecipe, classifierRecipe } from '../train/classifier/recipe.js'
import { trainClassifier } from '../train/classifier/train-classifier.js'
import { mapPlaces } from '../train/data-settings.js'
import { type DiffusionRecipe, diffusionRecipe } from '../train/diffusion/recipe.js'
import { trainDiffusion } from '../train/diffusion/train-diffusion.js'
import type { TrainEvent } from '../train/events.js'
import { figuresAt } from '../train/figures.js'
import { type AutoencoderRecipe, autoencoderRecipe } from '../train/first-stage/recipe.js'
import { type TrainOptions, trainAutoencoder } from '../train/first-stage/train-autoencoder.js'
import { checkpointAt } from '../train/learner.js'
import { logged } from '../train/log/log.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import { fineTunings } from './fine-tuning.js'
import { deviceFlags, file } from './flags.js'
import type { Io } from './io.js'
import { type FolderFlags, planOf } from './train-plan.js'
import { progressWriter } from './train-progress.js'

const count = z.int().positive()

export const trainCommand = {
  name: 'train',
  summary: 'Train a model on a folder of pictures, or one stage of it by a recipe',
  details:
    'With a FOLDER: looks at the pictures, says what will be trained and how long it takes, then trains an autoencoder ' +
    'and a diffusion model in its latents. Captions come from a captions.jsonl or .txt files beside the pictures, ' +
    'classes from its "class" or the names of folders, boxes from its "boxes": [{"label": …, "box": [left, top, width, ' +
    'height]}] in fractions, maps of classes from NAME.map.png beside the picture. ' +
    'With "autoencoder" or "diffusion" and a RECIPE.yaml: trains one stage, everything as the recipe says; with ' +
    '"classifier" a noisy classifier that leads a diffusion model to classes (generate --classifier). With "lora", ' +
    '"textual-inversion", "dreambooth" or "controlnet": teaches a trained model more, by default the bundled one. ' +
    'Ctrl-C saves and stops; --resume goes on. Under mpirun (Open MPI; needs the package koffi) the processes train ' +
    'together, each with batches of the size in the recipe and threads of its own; where one dies the others save and ' +
    "stop, and --resume goes on with as many as there are. The run's folder is then to be the same on every machine.",
  options: z.strictObject({
    what: z
      .string()
      .meta({ positional: true })
      .describe(`a folder of pictures, or: autoencoder, diffusion, classifier, ${Object.keys(fineTunings).join(', ')}`),
    recipe: z.string().optional().meta({ positional: true }).describe('a YAML file; see configs/ for examples'),
    out: z
      .string()
      .optional()
      .meta({ short: 'o', placeholder: 'FOLDER' })
      .describe('where checkpoints, samples and metrics go (default runs/NAME)'),
    resume: z.boolean().default(false).describe('go on with the run in --out, exactly where it stopped'),
    from: file('begin with the weights of this checkpoint (recipes only)'),
    plan: z.boolean().default(false).describe('print the plan for a folder and stop'),
    size: count.optional().describe('side of the pictures in pixels: 32, 64, 128 or 256 (folders only)'),
    firstStageSteps: count.optional().describe('steps of the autoencoder (folders only; default 4000)'),
    steps: count.optional().describe('steps of the diffusion model (folders only; default 20000)'),
    seed: z.int().nonnegative().optional().describe('of everything that chance decides (folders only; default 0)'),
    flip: z.boolean().default(false).describe('mirror half of the pictures (folders only)'),
    ...deviceFlags,
    json: z.boolean().default(false).describe('one JSON object a line for each event'),
  }),
  examples: [
    { line: 'latentkit train photos', what: 'both stages on a folder' },
    { line: 'latentkit train photos --plan', what: 'only look and tell how long it would take' },
    { line: 'latentkit train autoencoder first.yaml -o runs/first', what: 'the first stage by a recipe' },
    { line: 'latentkit train diffusion second.yaml -o runs/second --resume', what: 'go on after Ctrl-C or a crash' },
    { line: 'latentkit train lora configs/tiny/lora.yaml', what: 'a LoRA of the bundled model' },
    {
      line: 'mpirun -n 8 --hostfile hosts --bind-to none latentkit train diffusion second.yaml',
      what: 'eight processes on the machines that the file hosts names',
    },
  ],
} satisfies Command

/** The checkpoint's name and the folder of metrics and samples of each stage. */
const files = {
  autoencoder: 'autoencoder.safetensors',
  diffusion: 'model.safetensors',
  classifier: 'classifier.safetensors',
  lora: 'lora.safetensors',
  'textual-inversion': 'word.safetensors',
  dreambooth: 'model.safetensors',
  controlnet: 'controlnet.safetensors',
} as const

type Flags = z.output<typeof trainCommand.options>

/** What a run left behind. */
export interface Trained {
  readonly checkpoint: string
  readonly step: number
  readonly total: number
  /** The command that generates with it. */
  readonly generate?: string
}

/** What all parts of a run need. */
interface Run {
  readonly flags: Flags
  readonly out: string
  readonly device: Device
  readonly io: Io
}

/** `latentkit train`: returns what was trained, undefined for a plan alone. */
export async function train(flags: Flags, io: Io): Promise<Trained | undefined> {
  const stage = Object.hasOwn(files, flags.what)
  if (stage) {
    const given = (['plan', 'size', 'firstStageSteps', 'steps', 'seed', 'flip'] as const).filter(name => flags[name])
    if (given.length > 0) throw usage(`--${given[0]}`, 'is for folders; in a recipe it is a line of its own')
    if (flags.recipe === undefined) throw usage('RECIPE', `missing; wanted a YAML file after "${flags.what}"`)
  } else {
    if (flags.recipe !== undefined)
      throw usage(flags.recipe, `a recipe follows one of ${Object.keys(files).join(', ')}, not a folder`)
    if (flags.from !== undefined) throw usage('--from', 'is for recipes')
  }
  const name = flags.recipe ? basename(flags.recipe, extname(flags.recipe)) : basename(resolve(flags.what))
  const out = flags.out ?? join('runs', name)
  await using device = await openDevice(flags.device, { threads: flags.threads ?? processor().threads })
  const processes = await device.join()
  const unlock = processes.rank === 0 && !flags.plan ? await lockFile(join(out, '.lock'), `The run ${out}`) : undefined
  try {
    const run = { flags, out, device, io }
    const trained = await (stage ? trainRecipe(run) : trainFolder(run))
    await processes.leave()
    return trained
  } finally {
    await unlock?.()
  }
}

async function trainRecipe(run: Run): Promise<Trained> {
  const { what, recipe: file } = run.flags
  const text = await readText(file!)
  // Paths in a recipe are seen from its own folder.
  const at = (path: string) => resolve(dirname(file!), path)
  if (what === 'autoencoder') {
    const recipe = parseConfig(text, autoencoderRecipe, file!)
    const loss = { ...recipe.loss, perceptual_weights: recipe.loss.perceptual_weights.map(at) }
    return trainFirstStage(
      { ...recipe, loss, data: mapPlaces(recipe.data, at), evaluate: figuresAt(recipe.evaluate, at) },
      run,
    )
  }
  if (what === 'classifier') {
    const recipe = parseConfig(text, classifierRecipe, file!)
    return trainGuide({ ...recipe, model: at(recipe.model), data: mapPlaces(recipe.data, at) }, run)
  }
  if (Object.hasOwn(fineTunings, what)) return fineTune(what as keyof typeof fineTunings, text, at, run)
  const recipe = parseConfig(text, diffusionRecipe, file!)
  const data = mapPlaces(recipe.data, at)
  const first_stage = recipe.first_stage && at(recipe.first_stage)
  const conditioning = recipe.conditioning && withFiles(recipe.conditioning, at)
  const frozen = Object.entries(recipe.frozen_embedders).map(([name, path]) => [name, at(path)])
  return trainSecondStage(
    {
      ...recipe,
      data,
      first_stage,
      frozen_embedders: Object.fromEntries(frozen),
      conditioning,
      evaluate: figuresAt(recipe.evaluate, at),
    },
    run,
  )
}

async function trainFolder(run: Run): Promise<Trained | undefined> {
  const { flags, out, device, io } = run
  const plan = await planOf(flags.what, flags as FolderFlags, device, io)
  if (flags.json) io.out(`${JSON.stringify({ type: 'plan', ...plan.summary })}\n`)
  else io.err(plan.text)
  if (flags.plan) return undefined
  const firstStage = join(out, files.autoencoder)
  if (device.processes.rank === 0) {
    await writeRecipe(join(out, 'autoencoder.yaml'), plan.autoencoder)
    await writeRecipe(join(out, 'diffusion.yaml'), { ...plan.diffusion, first_stage: files.autoencoder })
  }
  const resumed = async (path: string) => ({
    ...run,
    flags: { ...flags, resume: flags.resume && (await fileInfo(path)) !== undefined },
  })
  const finished = flags.resume && (await isFinished(firstStage, plan.autoencoder.training.steps))
  if (!finished) {
    const { step, total } = await trainFirstStage(plan.autoencoder, await resumed(firstStage))
    if (step < total) return { checkpoint: firstStage, step, total }
  }
  return trainSecondStage({ ...plan.diffusion, first_stage: firstStage }, await resumed(join(out, files.diffusion)))
}

/** What was planned, to be changed and trained by hand; its folder of pictures is named from the root. */
async function writeRecipe(path: string, recipe: AutoencoderRecipe | DiffusionRecipe): Promise<void> {
  const data = mapPlaces(recipe.data, path => resolve(path))
  await writeFileAtomic(path, stringify(JSON.parse(JSON.stringify({ ...recipe, data }))))
}

const trainFirstStage = (recipe: AutoencoderRecipe, run: Run): Promise<Trained> =>
  runStage('autoencoder', run, options => trainAutoencoder({ ...options, recipe }))

async function trainSecondStage(recipe: DiffusionRecipe, run: Run): Promise<Trained> {
  const firstStage = recipe.first_stage === undefined ? undefined : await checkpointAt(recipe.first_stage)
  try {
    const stage = (options: Omit<TrainOptions<unknown>, 'recipe'>) => trainDiffusion({ ...options, recipe, firstStage })
    const trained = await runStage('diffusion', run, stage)
    const generate = `latentkit generate${wordsOf(recipe)} --model ${trained.checkpoint}`
    if (trained.step === trained.total) run.io.err(`Make a picture with it:\n  ${generate}\n`)
    return { ...trained, generate }
  } finally {
    await firstStage?.close()
  }
}

async function trainGuide(recipe: ClassifierRecipe, run: Run): Promise<Trained> {
  const model = await checkpointAt(recipe.model)
  try {
    const trained = await runStage('classifier', run, options => trainClassifier({ ...options, recipe, model }))
    const generate = `latentkit generate --model ${recipe.model} --classifier ${trained.checkpoint} --class …`
    if (trained.step === trained.total) run.io.err(`Lead a picture with it:\n  ${generate}\n`)
    return { ...trained, generate }
  } finally {
    await model.close()
  }
}

async function fineTune(
  what: keyof typeof fineTunings,
  text: string,
  at: (path: string) => string,
  run: Run,
): Promise<Trained> {
  if (run.flags.from !== undefined) throw usage('--from', 'is for stages; what is fine-tuned is the base of the recipe')
  const { base, start, generate } = await fineTunings[what](text, run.flags.recipe!, at)
  try {
    const trained = await runStage(what, run, start)
    const command = generate(trained.checkpoint)
    if (trained.step === trained.total) run.io.err(`Make a picture with it:\n  ${command}\n`)
    return { ...trained, generate: command }
  } finally {
    await base.close()
  }
}

/** What `generate` is to be told for the conditions of a model. */
function wordsOf({ conditioning = {}, samples }: DiffusionRecipe): string {
  const prompt = conditioning.text || conditioning.clip_text ? ` ${quoted(samples.prompts?.[0] ?? 'a prompt')}` : ''
  const given = Object.keys(conditioning) as ConditioningName[]
  const fields = given.flatMap(name => Object.entries<RequestField>(conditionings[name].request))
  const needed = new Set(fields.flatMap(([name, { optional }]) => (optional ? [] : name)))
  const known: Record<string, string | undefined> = { class: conditioning.class?.names?.[0] }
  const words = [...needed].map(field => ` --${field} ${known[field] === undefined ? '…' : quoted(known[field])}`)
  return prompt + words.join('')
}

async function runStage(
  stage: keyof typeof files,
  { flags, out, device, io }: Run,
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
  const show = flags.json ? jsonWriter(io) : progressWriter(io)
  let trained = { checkpoint: path, step: 0, total: 0 }
  try {
    const events = start({ device, path, resume, start: from, signal: io.signal })
    const first = device.processes.rank === 0
    for await (const event of first ? logged(events, { folder: join(out, stage), clock: io.clock }) : events) {
      show(event)
      trained = { checkpoint: path, step: event.step, total: event.total }
    }
  } finally {
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
