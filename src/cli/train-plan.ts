import { processor } from '#platform'
import { latentChannels } from '../autoencoder/config.js'
import { assumedConditions } from '../conditioning/index.js'
import { openSqueezenet } from '../perceptual/weights.js'
import { factorOf } from '../pipelines/model-config.js'
import type { Device, WeightSource } from '../runtime/index.js'
import type { Program } from '../tensor/program.js'
import { sizeOf } from '../tensor/shape.js'
import { diffusionProgram } from '../train/diffusion/programs.js'
import { diffusionModel } from '../train/diffusion/train-diffusion.js'
import { autoencoderProgram } from '../train/first-stage/programs.js'
import { type FolderPlan, planFolder } from '../train/folder-plan.js'
import { measureStep } from '../train/measure.js'
import type { Io } from './io.js'
import { duration } from './train-progress.js'

/** The flags of `latentkit train` that a plan for a folder listens to. */
export interface FolderFlags {
  readonly size?: number
  readonly firstStageSteps?: number
  readonly steps?: number
  readonly seed?: number
  readonly flip: boolean
  readonly threads?: number
}

export interface Planned extends Pick<FolderPlan, 'autoencoder' | 'diffusion'> {
  /** For a person to read. */
  readonly text: string
  /** The same as plain data. */
  readonly summary: Readonly<Record<string, unknown>>
}

/** Looks at a folder, measures a step of each stage on this machine, and says what training would be. */
export async function planOf(folder: string, flags: FolderFlags, device: Device, { signal }: Io): Promise<Planned> {
  const { size, firstStageSteps = 4000, steps = 20000, seed = 0, flip } = flags
  const plan = await planFolder(folder, { size, firstStageSteps, steps, seed, flip }, signal)
  const { report, autoencoder, diffusion } = plan
  const threads = flags.threads ?? processor().threads
  const stages = await measured(device, plan)
  // Of this process up to here: the measured steps are what training repeats.
  const peak = process.resourceUsage().maxRSS * 1024
  const [first, second] = stages as [Measured, Measured]
  const seconds = stages.reduce((sum, stage) => sum + stage.seconds, 0)
  const { split, shorterSide, captioned, captions, warnings, sizes } = report
  const pictures = report.dataset.pictures.length
  const kinds = report.kinds.map(({ kind, count }) => `${count} ${kind}`).join(', ')
  const common = sizes[0] ? `, most of ${sizes[0].width}x${sizes[0].height}` : ''
  const range = shorterSide ? `${shorterSide.min} to ${shorterSide.max} pixels${common}` : 'of unknown size'
  const classes = diffusion.conditioning?.class
  const lines = [
    `Found     ${report.complete ? '' : 'more than '}${pictures} pictures in ${folder} (${kinds}), ${range}`,
    `Captions  ${captioned === 0 ? 'none: the model takes no text' : `${captions} on ${captioned} pictures`}`,
    ...(classes
      ? [
          `Classes   ${classes.names!.length}: ${classes.names!.slice(0, 8).join(', ')}${classes.names!.length > 8 ? ', …' : ''}`,
        ]
      : []),
    `Split     ${split.train.length} to train on, ${split.heldOut.length} held out`,
    `Stage 1   autoencoder ${plan.size}x${plan.size} to latents ${first.latents}: ${stageLine(first, autoencoder.training)}`,
    `Stage 2   diffusion model in these latents${captioned > 0 ? ' with a text encoder' : classes ? ' of classes' : ''}: ${stageLine(second, diffusion.training)}`,
    `Expected  about ${duration(seconds)} on ${processor().name}, ${threads} threads; ${(peak / 2 ** 30).toFixed(1)} GiB of memory`,
    ...warnings.map(warning => `Warning   ${warning}`),
  ]
  const summary = {
    folder,
    pictures,
    captioned,
    size: plan.size,
    train: split.train.length,
    heldOut: split.heldOut.length,
    stages: [
      { stage: 'autoencoder', steps: autoencoder.training.steps, ...first },
      { stage: 'diffusion', steps: diffusion.training.steps, ...second },
    ],
    seconds,
    memory: peak,
    warnings,
  }
  return { autoencoder, diffusion, text: `${lines.join('\n')}\n`, summary }
}

interface Measured {
  readonly parameters: number
  readonly latents: string
  readonly secondsPerStep: number
  readonly seconds: number
}

async function measured(device: Device, { autoencoder, diffusion, size }: FolderPlan): Promise<readonly Measured[]> {
  const config = diffusionModel(diffusion, autoencoder.first_stage_config, assumedConditions(diffusion.conditioning))
  const side = size / factorOf(config)
  const shape = [latentChannels(config.first_stage_config), side, side] as const
  const squeezenet = await openSqueezenet()
  const one = async (program: Program, steps: number, frozen: WeightSource): Promise<Measured> => {
    const trained = program.parameters.filter(({ name }) => frozen.get(name) === undefined)
    const secondsPerStep = (await measureStep(device, program, frozen)) / 1000
    const parameters = trained.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
    return { parameters, latents: `${side}x${side}`, secondsPerStep, seconds: secondsPerStep * steps }
  }
  try {
    const frozen: WeightSource = { get: name => squeezenet.tensors.get(name.replace(/^perceptual\./, '')) }
    const { batch, steps } = autoencoder.training
    const first = await one(autoencoderProgram(autoencoder, batch, autoencoder.crop ?? size, 'train'), steps, frozen)
    const program = diffusionProgram(config, { batch: diffusion.training.batch, latents: shape }, diffusion.loss)
    return [first, await one(program, diffusion.training.steps, new Map())]
  } finally {
    await squeezenet.close()
  }
}

const stageLine = (
  { parameters, secondsPerStep, seconds }: Measured,
  { steps, batch }: { steps: number; batch: number },
) =>
  `${(parameters / 1e6).toFixed(1)}M parameters, ${steps} steps of ${batch}, ` +
  `${secondsPerStep.toPrecision(2)} s each, about ${duration(seconds)}`
