import { z } from 'zod'
import type { Parameterization } from '../../../../diffusion/index.js'
import type { Denoise, Noise, Predict } from '../../../../samplers/index.js'
import type { Case } from '../../case.js'
import type { Value } from '../../compare.js'

const model = z.object({ a: z.number(), b: z.number(), c: z.number(), d: z.number() })

/** A sampler case made ready: its start, its noises, its formula for a network, and a record of what is asked of it. */
export interface Experiment {
  readonly shape: readonly number[]
  /** The first dimension: how many images the batch holds. */
  readonly images: number
  readonly start: Float32Array
  /** F(x, t) = a x + b sin(c x + d t). */
  network(x: Float32Array, t: number): Float32Array
  readonly noise: Noise
  noisesUsed(): number
  /** Timesteps and outputs of the network's calls. */
  readonly timesteps: number[]
  readonly outputs: Float32Array[]
  /** Batches that the model was asked about, in the sampler's own coordinates. */
  readonly asked: Float32Array[]
  /** Levels and results of a denoiser's calls. */
  readonly sigmas: number[]
  readonly denoised: Float32Array[]
  predict(predict: Predict): Predict
  denoise(denoise: Denoise): Denoise
}

export async function experiment(testCase: Case): Promise<Experiment> {
  const { a, b, c, d } = model.parse(testCase.config.model)
  const { shape, data } = await testCase.input('x_T')
  const start = Float32Array.from(data as Float32Array)
  let noises: Float32Array | undefined
  for (const file of testCase.filesOf('input')) {
    const given = (await testCase.tensors(file)).get('noise')
    if (given) noises = given.data as Float32Array
  }
  let used = 0
  const self: Experiment = {
    shape,
    images: shape[0] ?? 1,
    start,
    timesteps: [],
    outputs: [],
    asked: [],
    sigmas: [],
    denoised: [],
    noisesUsed: () => used,
    noise() {
      const next = noises?.subarray(used * start.length, (used + 1) * start.length)
      if (next?.length !== start.length) throw new RangeError(`The case gives ${used} noises, one more was drawn`)
      used++
      return next
    },
    network(x, t) {
      const out = x.map(v => a * v + b * Math.sin(c * v + d * t))
      self.timesteps.push(t)
      self.outputs.push(out)
      return out
    },
    predict: predict => (x, at) => {
      self.asked.push(x)
      return predict(x, at)
    },
    denoise: denoise => async (x, sigma) => {
      self.asked.push(x)
      self.sigmas.push(sigma)
      const x0 = await denoise(x, sigma)
      self.denoised.push(x0)
      return x0
    },
  }
  return self
}

/** Batches as one tensor with a new first axis. */
export function stacked(batches: readonly Float32Array[], shape: readonly number[]): Value {
  const size = shape.reduce((a, b) => a * b, 1)
  const data = new Float32Array(batches.length * size)
  batches.forEach((batch, i) => {
    data.set(batch, i * size)
  })
  return { shape: [batches.length, ...shape], data }
}

/** The parameterisation by CompVis' and k-diffusion's names. */
export function compvisParameterization(name: unknown): Parameterization {
  return z.enum(['eps', 'x0', 'v']).parse(name) === 'eps' ? 'epsilon' : z.enum(['x0', 'v']).parse(name)
}
