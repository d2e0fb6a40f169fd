import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { processor, readText } from '#platform'
import { type FirstStageConfig, firstStageFactor, identityConfig, latentChannels } from '../autoencoder/config.js'
import { assumedConditions } from '../conditioning/index.js'
import { modelConfig } from '../pipelines/model-config.js'
import { keepTuning, openDevice, type TunedUse } from '../runtime/index.js'
import { type Command, parseConfig, UsageError, validate } from '../schema/index.js'
import { type Program, trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { f32 } from '../tensor/tensor.js'
import { square } from '../tensor/unary.js'
import { diffusionProgram } from '../train/diffusion/programs.js'
import { diffusionRecipe } from '../train/diffusion/recipe.js'
import { diffusionModel } from '../train/diffusion/train-diffusion.js'
import { autoencoderProgram } from '../train/first-stage/programs.js'
import { autoencoderRecipe } from '../train/first-stage/recipe.js'
import { checkpointAt } from '../train/learner.js'
import { unetConfig } from '../unet/config.js'
import { unet } from '../unet/unet.js'
import { deviceFlags } from './flags.js'
import type { Io } from './io.js'

export const tuneCommand = {
  name: 'tune',
  summary: 'Measure which forms of the operations run fastest on this machine, and keep the result',
  details:
    'Training is compiled from interchangeable forms of its convolutions; by default a fixed table chooses among them. ' +
    'This measures them at the sizes of a recipe (without one, of a small UNet over 16x16 latents) and keeps the fastest ' +
    'in the cache folder, where every later run on this processor finds them. A run that is to be resumed to the bit ' +
    'must be resumed with the choices that it began with.',
  options: z.strictObject({
    stage: z
      .enum(['autoencoder', 'diffusion'])
      .optional()
      .meta({ positional: true })
      .describe('what the recipe trains'),
    recipe: z.string().optional().meta({ positional: true }).describe('a YAML file, as for train'),
    rounds: z.int().positive().default(3).describe('how often each form is run; the best time counts'),
    device: deviceFlags.device.unwrap().exclude(['auto']).default('cpu').describe('where the operations run'),
    threads: deviceFlags.threads,
    json: z.boolean().default(false).describe('one JSON object with every time'),
  }),
  examples: [
    { line: 'latentkit tune', what: 'the sizes of a small model' },
    { line: 'latentkit tune autoencoder first.yaml', what: 'the sizes of a recipe' },
  ],
} satisfies Command

type Flags = z.output<typeof tuneCommand.options>

/** What was measured, and the file that keeps it. */
export interface Tuning {
  readonly uses: readonly TunedUse[]
  readonly file: string
}

/** `latentkit tune`. */
export async function tune(flags: Flags, io: Io): Promise<Tuning> {
  const program = await programOf(flags)
  const trained = program.parameters.map(({ name }) => name).filter(name => !name.startsWith('perceptual.'))
  await using device = await openDevice(flags.device, { threads: flags.threads ?? processor().threads })
  const uses: TunedUse[] = []
  for await (const use of device.tune(program, { rounds: flags.rounds, trained, signal: io.signal })) {
    uses.push(use)
    io.err(`${use.done}/${use.total} ${use.description}\n    ${timesOf(use)}\n`)
  }
  const file = await keepTuning(flags.device, Object.fromEntries(uses.map(({ use, fastest }) => [use, fastest])))
  io.err(`${uses.length} choices kept in ${file}\n`)
  return { uses, file }
}

/** `winograd4 1.2 ms, taps 2.3 ms`: fastest first. */
const timesOf = ({ milliseconds }: TunedUse): string =>
  Object.entries(milliseconds)
    .sort(([, a], [, b]) => a - b)
    .map(([name, time]) => `${name} ${time < 10 ? time.toFixed(2) : time.toFixed(0)} ms`)
    .join(', ')

async function programOf({ stage, recipe: path }: Flags): Promise<Program> {
  if (stage === undefined) return smallUnet()
  if (path === undefined) {
    throw new UsageError('latentkit tune', [
      { path: 'RECIPE', message: `missing; wanted a YAML file after "${stage}"` },
    ])
  }
  const text = await readText(path)
  if (stage === 'autoencoder') {
    const recipe = parseConfig(text, autoencoderRecipe, path)
    return autoencoderProgram(recipe, recipe.training.batch, recipe.crop ?? recipe.data.size, 'train')
  }
  const recipe = parseConfig(text, diffusionRecipe, path)
  const { first_stage: at } = recipe
  const stage_config = at === undefined ? identityConfig.parse({ f: 1 }) : await stageOf(resolve(dirname(path), at))
  const side = recipe.data.size / firstStageFactor(stage_config)
  const shapes = { batch: recipe.training.batch, latents: [latentChannels(stage_config), side, side] } as const
  return diffusionProgram(
    diffusionModel(recipe, stage_config, assumedConditions(recipe.conditioning)),
    shapes,
    recipe.loss,
  )
}

async function stageOf(path: string): Promise<FirstStageConfig> {
  const checkpoint = await checkpointAt(path)
  await checkpoint.close()
  return validate(modelConfig, checkpoint.info.config, `${checkpoint.name}: config`).first_stage_config
}

function smallUnet(): Program {
  const config = unetConfig.parse({
    in_channels: 4,
    out_channels: 4,
    model_channels: 96,
    channel_mult: [1, 2, 2],
    num_res_blocks: 1,
    attention_resolutions: [2, 4],
    num_head_channels: 32,
  })
  return trace({ x: f32(32, 4, 16, 16), t: f32(32) }, (at, { x, t }) => ({
    loss: mean(square(unet(at, config, { x, t }))),
  }))
}
