import { z } from 'zod'
import { grad } from '../../../autodiff/index.js'
import { autoencoderConfig, vqConfig } from '../../../autoencoder/config.js'
import { adamw } from '../../../optim/index.js'
import { VGG16_WIDTHS } from '../../../perceptual/vgg.js'
import { lpipsName } from '../../../perceptual/weights.js'
import { openDevice } from '../../../runtime/device.js'
import { type HostTensor, hostTensor } from '../../../runtime/host-tensor.js'
import type { TrainingState, TrainingStep } from '../../../runtime/state/training.js'
import type { Program } from '../../../tensor/program.js'
import { actNormStartProgram, discriminatorProgram } from '../../../train/first-stage/adversary-programs.js'
import { firstStageLoss } from '../../../train/first-stage/loss.js'
import { autoencoderProgram } from '../../../train/first-stage/programs.js'
import {
  afterName,
  discriminatorScope,
  type FirstStageTraining,
  stageScope,
  statisticsOf,
} from '../../../train/first-stage/training.js'
import type { Value } from '../compare.js'
import { type FileAnswer, type Kind, NotBuilt, vector } from '../kind.js'
import { nearestGap } from './autoencoder.js'
import { batchOf, inOrder, maskOf, namesIn, normsOf, samplesOf, shaped, starting } from './gradients.js'
import { configured, fill, inputsOf, weightsOf } from './programs.js'

const words = z.object({
  class: z.string(),
  ddconfig: z.looseObject({}),
  embed_dim: z.number(),
  n_embed: z.number().optional(),
  codebook_beta: z.number().default(0.25),
  // The original's class leaves the fault in where its caller says nothing.
  codebook_legacy: z.boolean().default(true),
  lr_g_factor: z.number().default(1),
  lossconfig: z.looseObject({
    disc_start: z.number(),
    disc_conditional: z.boolean().default(false),
    disc_in_channels: z.number().default(3),
    disc_ndf: z.number().optional(),
    perceptual_weight: z.number().default(1),
    kl_weight: z.number().default(1),
  }),
  perceptual_widths: z.record(z.string(), z.number()).default({}),
  disc_ndf: z.number().default(64),
  steps: z.number(),
  optimizer: z.object({ lr: z.number(), betas: z.tuple([z.number(), z.number()]) }),
  gradients_at_step: z.number().default(0),
})
type Words = z.infer<typeof words>

const takenFromLossconfig = [
  'disc_start',
  'disc_factor',
  'disc_weight',
  'disc_num_layers',
  'disc_loss',
  'use_actnorm',
  'kl_weight',
  'codebook_weight',
  'pixel_loss',
  'perceptual_weight',
] as const

function trainingOf(config: Words): FirstStageTraining {
  const { ddconfig, embed_dim, n_embed, codebook_beta: beta, codebook_legacy: legacy, lossconfig } = config
  if (lossconfig.disc_conditional) throw new NotBuilt('a discriminator with a condition')
  const kl = n_embed === undefined
  const given = Object.fromEntries(
    takenFromLossconfig.flatMap(key => (lossconfig[key] === undefined ? [] : [[key, lossconfig[key]]])),
  )
  return {
    first_stage_config: kl
      ? configured(autoencoderConfig, { ddconfig, embed_dim })
      : configured(vqConfig, { ddconfig, embed_dim, n_embed, beta, legacy }),
    loss: configured(firstStageLoss, {
      ...given,
      reduction: kl ? 'sum' : 'mean',
      disc_ndf: lossconfig.disc_ndf ?? config.disc_ndf,
      ...(lossconfig.perceptual_weight > 0 && { perceptual_loss: 'vgg', perceptual_weights: ["the case's"] }),
      learn_logvar: kl,
    }),
    perceptualWidths: VGG16_WIDTHS.map(width => config.perceptual_widths[width] ?? width),
  }
}

const stagePrefix = `${stageScope}.`
const LOGVAR = 'loss.logvar'

/** A name of the case as our programs have it, and back. */
const ourName = (name: string): string => {
  const perceptual = /^loss\.perceptual_loss\.(.*)$/.exec(name)?.[1]
  if (perceptual !== undefined) return `perceptual.${lpipsName(perceptual) ?? perceptual}`
  return name.startsWith('loss.') ? name : stagePrefix + name
}
const theirName = (name: string): string => name.replace(stagePrefix, '')

/** What is no parameter: statistics of batch norms, whether an ActNorm has seen data. */
const isBuffer = (name: string): boolean => /\.(running_mean|running_var|num_batches_tracked|initialized)$/.test(name)

// Outputs that the case asks for besides those of training.
const RECONSTRUCTION = 'reconstruction'
const INDICES = 'indices'
const LATENTS = 'latents'
const LOGVAR_GRADIENT = 'logvar_gradient'

function withProbes(program: Program): Program {
  const { marks, outputs, parameters } = program
  const probes = {
    [RECONSTRUCTION]: marks[`${stagePrefix}decoder`],
    [INDICES]: marks[`${stagePrefix}quantize`],
    [LATENTS]: marks[`${stagePrefix}quant_conv`],
  }
  const logvar = parameters.find(({ name }) => name === LOGVAR)?.tensor
  return {
    ...program,
    outputs: {
      ...outputs,
      ...(Object.fromEntries(Object.entries(probes).filter(([, tensor]) => tensor)) as typeof outputs),
      ...(logvar && { [LOGVAR_GRADIENT]: grad(outputs.loss!, [logvar])[0]! }),
    },
  }
}

/** What the original logs of a pass. */
function logsOf(
  { loss: { perceptual_weight, pixel_loss, disc_factor } }: FirstStageTraining,
  outputs: Record<string, HostTensor>,
  factor: number,
): Record<string, number> {
  const scalar = (name: string) => Number(outputs[name]?.data[0] ?? 0)
  const error = scalar(pixel_loss) + perceptual_weight * scalar('perceptual')
  return {
    ...Object.fromEntries(Object.keys(outputs).map(name => [name, scalar(name)])),
    total_loss: scalar('loss'),
    rec_loss: error,
    nll_loss: outputs.nll ? scalar('nll') : error,
    p_loss: scalar('perceptual'),
    kl_loss: scalar('kl'),
    quant_loss: scalar('codebook'),
    cluster_usage: scalar('code_usage'),
    disc_factor: factor,
    // Only the KL loss leaves the weight out where the factor is 0 for good.
    ...(outputs.nll && disc_factor === 0 && { d_weight: 0 }),
  }
}

/** Reconstruction, perceptual and adversarial training: both optimisers, step by step. */
export const autoencoderTraining: Kind = {
  kind: 'training',
  recognises: ({ objects, config }) => objects.includes('training_step') && words.safeParse(config).success,
  async run(testCase, { device: deviceName }) {
    const config = words.parse(testCase.config)
    const training = trainingOf(config)
    const weights = new Map([...(await weightsOf(testCase))].map(([name, tensor]) => [ourName(name), tensor]))
    const batches = await inputsOf(testCase)
    const [, batch, , size] = batches.image!.shape as [number, number, number, number]
    const held = (prefix: string) =>
      new Map([...weights].filter(([name]) => name.startsWith(prefix) && !isBuffer(name)))
    const generator = held(stagePrefix)
    const judge = held(`${discriminatorScope}.`)
    let statistics = Object.fromEntries(Object.keys(statisticsOf(training)).map(name => [name, weights.get(name)!]))
    let seen = 0

    const optimiser = adamw({ betas: config.optimizer.betas, weightDecay: 0 })
    // As with AdamW alone: f32 ends further off than the tolerances allow.
    await using device = await openDevice(deviceName, deviceName === 'cpu' ? { precision: 'f64' } : {})
    await using stage = await device.state(starting(generator), { optimiser })
    await using other = await device.state(starting(judge), { optimiser })
    const generatorProgram = withProbes(autoencoderProgram(training, batch, size, 'train'))
    const judgeProgram = withProbes(discriminatorProgram(training, batch, size))
    await using generatorStep = await stage.training(generatorProgram, { frozen: weights, beside: [other] })
    await using judgeStep = await other.training(judgeProgram, { frozen: weights, beside: [stage] })

    const listed = await namesIn(testCase, ['autoencoder', 'discriminator'])
    const names = {
      autoencoder: inOrder([...generator.keys()].map(theirName), listed?.names.autoencoder ?? []),
      discriminator: inOrder(judge.keys(), listed?.names.discriminator ?? []),
    }
    const logs = new Map<string, Value>()
    const batchnorm = new Map<string, Value>()
    const extra = new Map<string, Value>()
    const gaps: number[] = []
    let gradients = new Map<string, Value>()
    let judgeGradients = new Map<string, Value>()

    const named = async (state: TrainingState, array: string) =>
      new Map([...shaped(await state.read(array), weights)].map(([name, value]) => [theirName(name), value]))
    /** Statistics and how many batches they have seen, by the names of the case. */
    const buffers = (): [string, Value][] => [
      ...Object.entries(statistics),
      ...[...weights]
        .filter(([name]) => name.endsWith('.num_batches_tracked'))
        .map(([name, { data }]): [string, Value] => [name, { shape: [], data: [Number(data[0]) + seen] }]),
      ...[...weights]
        .filter(([name]) => name.endsWith('.initialized'))
        .map(([name, { shape }]): [string, Value] => [name, { shape, data: [1] }]),
    ]

    async function pass(step: number, number: 0 | 1, compiled: TrainingStep): Promise<Record<string, HostTensor>> {
      const { image, noise } = batchOf(batches, step)
      const factor = step < training.loss.disc_start! ? 0 : training.loss.disc_factor
      const inputs = {
        images: image!,
        ...(noise && { noise: batchOf({ noise }, number).noise! }),
        disc_factor: hostTensor([factor], []),
        ...statistics,
      }
      if (step === 0 && number === 0) await startActNorm(inputs)
      const outputs = await compiled.accumulate(inputs)
      statistics = Object.fromEntries(Object.keys(statistics).map(name => [name, outputs[afterName(name)]!]))
      seen += 1 + number
      const place = `step${step}.pass${number}`
      for (const [name, value] of Object.entries(logsOf(training, outputs, factor))) {
        logs.set(`${place}.${name}`, vector([value]))
      }
      for (const [name, value] of buffers()) batchnorm.set(name.replace(discriminatorScope, place), value)
      if (step + number === 0) extra.set('reconstruction_first_pass', outputs[RECONSTRUCTION]!)
      const { [INDICES]: indices, [LATENTS]: latents } = outputs
      if (indices && latents) {
        if (number === 0) extra.set(`step${step}.indices`, { ...indices, shape: [indices.data.length] })
        const codebook = (await named(stage, 'parameter')).get('quantize.embedding.weight')!
        gaps.push(Math.min(...Array.from(nearestGap(latents, codebook).data, Number)))
      }
      return outputs
    }

    async function startActNorm(inputs: Record<string, HostTensor>): Promise<void> {
      const flags = [...weights].filter(([name]) => name.endsWith('.initialized'))
      if (flags.every(([, { data }]) => Number(data[0]) === 1)) return
      await using start = await stage.compile(actNormStartProgram(training, batch, size), { beside: [other] })
      const values = Object.entries(await start(inputs)).map(
        ([name, { data }]) => [name, data as Float32Array] as const,
      )
      await other.write('parameter', new Map(values))
    }

    for (let step = 0; step < config.steps; step++) {
      const { [LOGVAR_GRADIENT]: ofLogvar } = await pass(step, 0, generatorStep)
      if (step === config.gradients_at_step) {
        gradients = await named(stage, 'gradient')
        if (ofLogvar) gradients.set(LOGVAR, ofLogvar)
      }
      await stage.update({ learningRate: config.optimizer.lr * config.lr_g_factor })
      await pass(step, 1, judgeStep)
      if (step === config.gradients_at_step) judgeGradients = await named(other, 'gradient')
      await other.update({ learningRate: config.optimizer.lr })
    }

    const mask = await maskOf(testCase)
    const masked = (value: Value, name: string): Value =>
      mask.has(name) ? { ...value, compare: mask.get(name)! } : value
    const after = await named(stage, 'parameter')
    const whole = [...after, ...(await named(other, 'parameter'))].map(
      ([name, value]) => [name, masked(value, name)] as const,
    )
    const computed: Record<string, ReadonlyMap<string, Value>> = {
      logs,
      batchnorm,
      extra,
      gradients_generator: gradients,
      gradients_discriminator: judgeGradients,
      gradient_norms_generator: new Map([
        ['norms', normsOf(names.autoencoder, gradients)],
        ['samples', samplesOf(names.autoencoder, gradients)],
      ]),
      weights_after: new Map([...whole, ...buffers()]),
      parameter_samples: new Map([
        ['autoencoder_after', masked(samplesOf(names.autoencoder, after), 'autoencoder_samples')],
      ]),
    }
    const files: Record<string, FileAnswer> = {}
    for (const [name, values] of Object.entries(computed)) {
      const file = `${name}.safetensors`
      if (file in testCase.files) Object.assign(files, await fill(testCase, values, [file]))
    }
    if (listed) files[listed.file] = names
    if (GAPS in testCase.files) files[GAPS] = { [GAP]: gaps.map(gap => Number(gap.toPrecision(3))) }
    return { files }
  },
  // Weights whose gradient is rounding noise may differ by as much, the case says, and latents are made with them.
  tolerance({ config }, file) {
    if (file !== GAPS) return undefined
    const { optimizer, steps } = words.parse(config)
    return { atol: 2 * optimizer.lr * steps, rtol: 0 }
  },
}

/** How close the two nearest codes come, to three digits. */
const GAPS = 'code_gap.json'
const GAP = 'smallest_distance_between_nearest_and_second_nearest_code_per_pass'
