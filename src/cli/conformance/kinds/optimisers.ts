import { z } from 'zod'
import { adam, adamw, cosineCycles, ema, linearCycles, type RateSchedule, sgd } from '../../../optim/index.js'
import { hostTensor, type Optimiser, openDevice } from '../../../runtime/index.js'
import { addAll, mul } from '../../../tensor/index.js'
import { type Program, trace } from '../../../tensor/program.js'
import { sum } from '../../../tensor/reduce.js'
import { f32 } from '../../../tensor/tensor.js'
import type { Case } from '../case.js'
import type { Value } from '../compare.js'
import { type Kind, NotBuilt } from '../kind.js'

const optimiserRun = z.object({
  name: z.string(),
  class: z.string(),
  lr: z.number(),
  betas: z.tuple([z.number(), z.number()]).optional(),
  eps: z.number().optional(),
  weight_decay: z.number().optional(),
  momentum: z.number().optional(),
  clip: z.number().optional(),
})
const optimisersConfig = z.object({ tensors: z.number(), steps: z.number(), runs: z.array(optimiserRun) })

/** Optimisers fed with given gradients: the gradients of sum(p * g) are g. */
const optimisers: Kind = {
  kind: 'training',
  recognises: ({ objects, config }) => objects.includes('torch.optim') && optimisersConfig.safeParse(config).success,
  async run(testCase, { device: deviceName }) {
    const { tensors, steps, runs } = optimisersConfig.parse(testCase.config)
    const names = Array.from({ length: tensors }, (_, i) => `p${i}`)
    const parameters = await Promise.all(names.map(async name => ({ name, ...(await floats(testCase, name)) })))
    const gradients = await Promise.all(names.map((_, i) => floats(testCase, `g${i}`)))
    const program = givenGradients(parameters)
    const results = new Map<string, Value>()
    await using device = await openDevice(deviceName)
    for (const run of runs) {
      await using state = await device.state(parameters, { optimiser: optimiserOf(run) })
      await using step = await state.training(program)
      const norms: number[] = []
      for (let s = 0; s < steps; s++) {
        const inputs = parameters.map(({ name, shape, data: { length } }, i) => [
          `gradient of ${name}`,
          hostTensor(gradients[i]!.data.subarray(s * length, (s + 1) * length), shape),
        ])
        await step.accumulate(Object.fromEntries(inputs))
        const clip = run.clip === undefined ? {} : { clip: run.clip }
        norms.push((await state.update({ learningRate: run.lr, ...clip })).gradientNorm)
        const after = await state.read('parameter')
        for (const { name, shape } of parameters) {
          results.set(`${run.name}.step${s}.${name}`, { shape, data: after.get(name)! })
        }
      }
      if (run.clip !== undefined) results.set(`${run.name}.norms`, { shape: [steps], data: norms })
    }
    return { files: { [testCase.filesOf('expected')[0]!]: results } }
  },
}

function optimiserOf({ class: name, betas, eps, weight_decay, momentum }: z.infer<typeof optimiserRun>): Optimiser {
  const options = {
    ...(betas && { betas }),
    ...(eps !== undefined && { epsilon: eps }),
    ...(weight_decay !== undefined && { weightDecay: weight_decay }),
    ...(momentum !== undefined && { momentum }),
  }
  if (name === 'AdamW') return adamw(options)
  if (name === 'Adam') return adam(options)
  if (name === 'SGD') return sgd(options)
  throw new NotBuilt(`the optimiser ${name}`)
}

interface Floats {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

async function floats(testCase: Case, name: string): Promise<Floats> {
  const { shape, data } = await testCase.input(name)
  return { shape, data: Float32Array.from(data as ArrayLike<number>) }
}

function givenGradients(parameters: readonly (Floats & { name: string })[]): Program {
  const specs = Object.fromEntries(parameters.map(({ name, shape }) => [`gradient of ${name}`, f32(...shape)]))
  return trace(specs, (at, inputs) => {
    const terms = parameters.map(({ name, shape }) =>
      sum(mul(at.parameter(name, shape, { kind: 'constant', value: 0 }), inputs[`gradient of ${name}`]!)),
    )
    return { loss: addAll(terms) }
  })
}

const emaConfig = z.object({
  runs: z.array(z.object({ name: z.string(), decay: z.number(), use_num_updates: z.boolean() })),
})

/** The average of parameters that are set before each update, which leaves them as they are. */
const averages: Kind = {
  kind: 'training',
  recognises: ({ objects, config }) => objects.includes('LitEma') && emaConfig.safeParse(config).success,
  async run(testCase, { device: deviceName }) {
    const { shape, data } = await floats(testCase, 'w')
    const row = shape.slice(1)
    const size = data.length / shape[0]!
    const weights = (s: number) => data.subarray(s * size, (s + 1) * size)
    const start = { name: 'w', shape: row, data: weights(0) }
    const results = new Map<string, Value>()
    await using device = await openDevice(deviceName)
    for (const { name, decay, use_num_updates: warmup } of emaConfig.parse(testCase.config).runs) {
      await using state = await device.state([start], { optimiser: sgd(), ema: ema({ decay, warmup }) })
      await using step = await state.training(givenGradients([start]))
      for (let s = 1; s < shape[0]!; s++) {
        await state.write('parameter', new Map([['w', weights(s)]]))
        await step.accumulate({ 'gradient of w': hostTensor(weights(s), row) })
        await state.update({ learningRate: 0 })
        results.set(`${name}.after${s}`, { shape: row, data: (await state.read('ema')).get('w')! })
      }
    }
    return { files: { [testCase.filesOf('expected')[0]!]: results } }
  },
}

const cycles = z.object({
  warm_up_steps: z.array(z.number()),
  cycle_lengths: z.array(z.number()),
  f_start: z.array(z.number()),
  f_max: z.array(z.number()),
  f_min: z.array(z.number()),
})
const single = z.object({
  warm_up_steps: z.number(),
  max_decay_steps: z.number(),
  lr_start: z.number(),
  lr_max: z.number(),
  lr_min: z.number(),
})
const scheduler = z.object({ class: z.string(), params: z.union([cycles, single]), at: z.array(z.number()) })
const schedulersConfig = z.object({ schedulers: z.array(scheduler) })

/** Factors of the learning rate. */
const rates: Kind = {
  kind: 'training',
  recognises: ({ config }) => schedulersConfig.safeParse(config).success,
  async run(testCase) {
    const schedulers = schedulersConfig.parse(testCase.config).schedulers.map(one => {
      const rate = rateOf(one)
      return { class: one.class, values: one.at.map(step => [step, rate(step)]) }
    })
    return { files: { [testCase.filesOf('expected')[0]!]: { schedulers } } }
  },
}

function rateOf({ class: name, params: p }: z.infer<typeof scheduler>): RateSchedule {
  const list =
    'lr_max' in p
      ? [{ warmup: p.warm_up_steps, length: p.max_decay_steps, start: p.lr_start, max: p.lr_max, min: p.lr_min }]
      : p.warm_up_steps.map((warmup, i) => ({
          warmup,
          length: p.cycle_lengths[i]!,
          start: p.f_start[i]!,
          max: p.f_max[i]!,
          min: p.f_min[i]!,
        }))
  if (name === 'LambdaLinearScheduler') return linearCycles(list)
  if (name.startsWith('LambdaWarmUpCosineScheduler')) return cosineCycles(list)
  throw new NotBuilt(`the learning-rate schedule ${name}`)
}

export const optimiserKinds: readonly Kind[] = [optimisers, averages, rates]
