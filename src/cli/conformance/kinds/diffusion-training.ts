import { z } from 'zod'
import { grad } from '../../../autodiff/index.js'
import { type DdpmBuffers, ddpmBuffers } from '../../../diffusion/ddpm-buffers.js'
import { minSnrWeight, type Parameterization, snr } from '../../../diffusion/snr.js'
import {
  addNoise,
  type Diffused,
  diffusionLoss,
  learnedLogvar,
  predictionTarget,
  sampleErrors,
} from '../../../losses/diffusion.js'
import { adamw, ema, sgd } from '../../../optim/index.js'
import { type Device, openDevice } from '../../../runtime/device.js'
import { type HostTensor, hostTensor } from '../../../runtime/host-tensor.js'
import { mul } from '../../../tensor/binary.js'
import type { Program } from '../../../tensor/program.js'
import { mean } from '../../../tensor/reduce.js'
import { concat } from '../../../tensor/slice.js'
import { type UnetConfig, unetConfig } from '../../../unet/config.js'
import { unet } from '../../../unet/unet.js'
import type { Case } from '../case.js'
import type { Value } from '../compare.js'
import { type FileAnswer, type Kind, NotBuilt, vector } from '../kind.js'
import { batchOf, inOrder, listed, maskOf, namesIn, normsOf, samplesOf, shaped, starting } from './gradients.js'
import { configured, fill, inputsOf, traced, weightsOf } from './programs.js'

const schedule = z.object({
  beta_schedule: z.enum(['linear', 'cosine', 'sqrt_linear', 'sqrt']),
  timesteps: z.number(),
  linear_start: z.number().exactOptional(),
  linear_end: z.number().exactOptional(),
  cosine_s: z.number().exactOptional(),
})
const common = z.object({ unet: z.looseObject({}), schedule, min_snr_gamma: z.number().default(5) })
const lossesConfig = common.extend({ variants: z.array(z.string()) })
const stepsConfig = common.extend({
  variant: z.string(),
  steps: z.number(),
  optimizer: z.object({
    lr: z.number(),
    betas: z.tuple([z.number(), z.number()]),
    eps: z.number(),
    weight_decay: z.number(),
  }),
  clip_grad_norm: z.number(),
  ema_decay: z.number(),
})

/** Weights that the variants of the reference set have, which its case.json files do not tell. */
const ELBO = { simple: 0.9, weight: 0.01 }
const LOGVAR_INIT = 0.3

interface Variant {
  readonly name: string
  readonly parameterization: Parameterization
  readonly kind: 'l1' | 'l2'
  readonly extra: 'min_snr' | 'elbo' | 'learned_logvar' | undefined
}

/** `eps_l2_min_snr` and its like. */
function variantOf(name: string): Variant {
  const [, prediction, kind, extra] = /^(eps|x0|v)_(l1|l2)(?:_(min_snr|elbo|learned_logvar))?$/.exec(name) ?? []
  if (prediction === undefined) throw new NotBuilt(`the loss ${name}`)
  return {
    name,
    parameterization: prediction === 'eps' ? 'epsilon' : (prediction as Parameterization),
    kind: kind as Variant['kind'],
    extra: extra as Variant['extra'],
  }
}

/** A batch with what the schedule says of each of its samples. */
function withCoefficients(
  batch: Record<string, HostTensor>,
  { parameterization }: Variant,
  config: z.infer<typeof common>,
) {
  const buffers = ddpmBuffers(config.schedule, { parameterization })
  const times = Array.from(batch.t!.data, Number)
  const at = (values: ArrayLike<number>) => hostTensor(times.map(t => values[t]!))
  const ratios = times.map(t => snr(buffers.alphasCumprod[t]!))
  const weights = times.map(t => minSnrWeight(buffers.alphasCumprod[t]!, config.min_snr_gamma, parameterization))
  const inputs = {
    ...batch,
    alpha: at(buffers.sqrtAlphasCumprod),
    sigma: at(buffers.sqrtOneMinusAlphasCumprod),
    bound: at(buffers.lvlbWeights),
    weights: hostTensor(weights),
  }
  return { inputs, ratios, weights, times, buffers }
}

/** Loss and what the original logs with it, as a program of a batch. */
function lossProgram(
  config: UnetConfig,
  variant: Variant,
  inputs: Record<string, HostTensor>,
  { betas }: Pick<DdpmBuffers, 'betas'>,
): Program {
  return traced(inputs, (at, given) => {
    const { z, noise, alpha, sigma, t, context, y, c_concat, bound, weights } = given
    const diffused: Diffused = { x0: z!, noise: noise!, alpha: alpha!, sigma: sigma! }
    const noisy = addNoise(diffused)
    const x = c_concat ? concat([noisy, c_concat], { axis: 1 }) : noisy
    const output = unet(at, config, { x, t: t!, context, y })
    const target = predictionTarget(variant.parameterization, diffused)
    const errors = sampleErrors(output, target, variant.kind)
    const logvar =
      variant.extra === 'learned_logvar'
        ? learnedLogvar(at, t!, { timesteps: betas.length, initial: LOGVAR_INIT })
        : undefined
    const loss = diffusionLoss(errors, {
      logvar,
      weights: variant.extra === 'min_snr' ? weights : undefined,
      ...(variant.extra === 'elbo' && { simple: ELBO.simple, elbo: { terms: bound!, weight: ELBO.weight } }),
    })
    return {
      loss,
      loss_simple: mean(errors),
      loss_vlb: mean(mul(bound!, errors)),
      ...(logvar && { loss_gamma: diffusionLoss(errors, { logvar }), mean_logvar: mean(logvar) }),
      ...(context && { context_gradient: grad(loss, [context])[0]! }),
      x_noisy: noisy,
      model_output: output,
      target,
    }
  })
}

/** Losses of all kinds, and the gradient of every parameter. */
const losses: Kind = {
  kind: 'training',
  recognises: ({ objects, config }) => objects.includes('p_losses') && lossesConfig.safeParse(config).success,
  async run(testCase, { device: deviceName }) {
    const config = lossesConfig.parse(testCase.config)
    const network = configured(unetConfig, config.unet)
    const weights = await weightsOf(testCase)
    const batch = await inputsOf(testCase)
    const { names, namesFile } = await parametersOf(testCase, weights)
    const values = new Map<string, Value>()
    const norms = new Map<string, Value>()
    const samples = new Map<string, Value>()
    const gradients = new Map<string, ReadonlyMap<string, Value>>()

    await using device = await openDevice(deviceName)
    for (const variant of config.variants.map(variantOf)) {
      const { inputs, ratios, weights: minSnr, times, buffers } = withCoefficients(batch, variant, config)
      const logvar = {
        dtype: 'f32',
        shape: [buffers.betas.length],
        data: new Float32Array(buffers.betas.length).fill(LOGVAR_INIT),
      } as const
      const parameters = variant.extra === 'learned_logvar' ? new Map([...weights, ['logvar', logvar]]) : weights
      const program = lossProgram(network, variant, inputs, buffers)
      const { outputs, gradient } = await differentiate(device, program, parameters, inputs)

      for (const [name, value] of Object.entries(outputs)) {
        const shared = name === 'x_noisy' || name === 'model_output'
        if (!shared) values.set(`${variant.name}.${name.replace('mean_', '')}`, listed(value))
        else if (!values.has(name)) values.set(name, value)
      }
      if (variant.parameterization === 'v') values.set('v_target', outputs.target!)
      values.set(`${variant.name}.snr`, vector(ratios))
      values.set(`${variant.name}.weights`, vector(minSnr))
      const logvarGradient = gradient.get('logvar')
      if (logvarGradient) {
        values.set(`${variant.name}.logvar_gradient_at_t`, vector(times.map(t => Number(logvarGradient.data[t]))))
      }
      norms.set(variant.name, normsOf(names, gradient))
      samples.set(variant.name, samplesOf(names, gradient))
      gradients.set(variant.name, gradient)
    }

    const files: Record<string, FileAnswer> = {
      ...(await fill(testCase, values)),
      ...namesFile,
    }
    for (const file of Object.keys(files)) {
      const [, variant] = /gradients_(.+)\.safetensors$/.exec(file) ?? []
      const whole = variant === undefined ? undefined : gradients.get(variant)
      if (whole) Object.assign(files, await fill(testCase, whole, [file]))
      if (file.endsWith('gradient_norms.safetensors')) files[file] = norms
      if (file.endsWith('gradient_samples.safetensors')) files[file] = samples
    }
    return { files }
  },
}

/** Loss and gradients by the way that training takes. */
async function differentiate(
  device: Device,
  program: Program,
  parameters: ReadonlyMap<string, HostTensor>,
  inputs: Record<string, HostTensor>,
): Promise<{ outputs: Record<string, Value>; gradient: Map<string, Value> }> {
  await using state = await device.state(starting(parameters), { optimiser: sgd() })
  await using step = await state.training(program)
  const outputs = await step.accumulate(inputs)
  return { outputs, gradient: shaped(await state.read('gradient'), parameters) }
}

/** Steps of AdamW with clipping and moving average. */
const steps: Kind = {
  kind: 'training',
  recognises: ({ objects, config }) => objects.includes('p_losses') && stepsConfig.safeParse(config).success,
  async run(testCase, { device: deviceName }) {
    const config = stepsConfig.parse(testCase.config)
    const network = configured(unetConfig, config.unet)
    const variant = variantOf(config.variant)
    const weights = await weightsOf(testCase)
    const batches = await inputsOf(testCase)
    const { names, namesFile } = await parametersOf(testCase, weights)
    const { lr, betas, eps, weight_decay } = config.optimizer
    const average = ema({ decay: config.ema_decay })

    // Adam makes full steps of rounding noise, which the next gradients feel: f32 ends up to 7 times further off than the
    // tolerances allow, which are 20 times what two runs happened to differ by.
    await using device = await openDevice(deviceName, deviceName === 'cpu' ? { precision: 'f64' } : {})
    await using state = await device.state(starting(weights), {
      optimiser: adamw({ betas, epsilon: eps, weightDecay: weight_decay }),
      ema: average,
    })
    const first = withCoefficients(batchOf(batches, 0), variant, config)
    await using step = await state.training(lossProgram(network, variant, first.inputs, first.buffers))
    const losses: number[] = []
    const gradientNorms: number[] = []
    const after = new Map<string, Value>()
    for (let k = 0; k < config.steps; k++) {
      const { loss } = await step.accumulate(withCoefficients(batchOf(batches, k), variant, config).inputs)
      losses.push(Number(loss!.data[0]))
      gradientNorms.push((await state.update({ learningRate: lr, clip: config.clip_grad_norm })).gradientNorm)
      after.set(`after_step${k + 1}`, samplesOf(names, shaped(await state.read('parameter'), weights)))
    }

    const mask = await maskOf(testCase)
    const masked = (value: Value, name: string): Value =>
      mask.has(name) ? { ...value, compare: mask.get(name)! } : value
    const moments = {
      exp_avg: shaped(await state.read('m'), weights),
      exp_avg_sq: shaped(await state.read('v'), weights),
    }
    const whole = [...shaped(await state.read('parameter'), weights)].map(
      ([name, value]) => [name, masked(value, name)] as const,
    )
    const values = new Map<string, Value>([
      ...whole,
      ['loss', vector(losses)],
      ['gradient_norm_before_clipping', vector(gradientNorms)],
      ['ema_decay_used', vector(losses.map((_, k) => 1 - average.scalars(k + 1).emaRate!))],
      ...[...after].map(([name, value]) => [name, masked(value, 'samples')] as const),
      ['samples', masked(samplesOf(names, shaped(await state.read('ema'), weights)), 'samples')],
      ['num_updates', vector([state.updates])],
      ['decay', vector([config.ema_decay])],
      ...Object.entries(moments).flatMap(([name, values]) => [
        [`${name}_samples`, samplesOf(names, values)] as const,
        [`${name}_norms`, normsOf(names, values)] as const,
      ]),
    ])
    return { files: { ...(await fill(testCase, values)), ...namesFile } }
  },
}

/** All parameters of ours as the case lists them, and the file that does. */
async function parametersOf(testCase: Case, parameters: ReadonlyMap<string, unknown>) {
  const listed = await namesIn(testCase, ['in_order'])
  const names = inOrder(parameters.keys(), listed?.names.in_order ?? [])
  return { names, namesFile: listed ? { [listed.file]: { in_order: names } } : {} }
}

export const diffusionTraining: readonly Kind[] = [losses, steps]
