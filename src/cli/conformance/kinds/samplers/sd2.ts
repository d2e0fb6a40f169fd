import { cumulativeAlphas, makeBetas, timeUniformLevels } from '../../../../diffusion/index.js'
import { denoiser, dpmppMultistep, scale } from '../../../../samplers/index.js'
import { type Kind, vector } from '../../kind.js'
import { readBetaSchedule } from '../schedules.js'
import { filesAnswer } from './compvis.js'
import { compvisParameterization, experiment } from './formula.js'

/** The DPM-Solver that Stable Diffusion 2 ships: DPM-Solver++ multistep at equally spaced times, unit variance. */
const dpmSolverSampler: Kind = {
  kind: 'samplers',
  recognises: ({ objects, config }) => objects.includes('DPM_Solver.sample') && typeof config.S === 'number',
  async run(testCase) {
    const { config } = testCase
    const run = await experiment(testCase)
    const alphasCumprod = Float32Array.from(cumulativeAlphas(makeBetas(readBetaSchedule(config.schedule))))
    const steps = Number(config.S)
    const levels = timeUniformLevels(alphasCumprod, steps)
    const timesteps = new Map(levels.map(({ sigma, t }) => [sigma, t]))
    const parameterization = compvisParameterization(config.parameterization)
    const denoise = denoiser(run.network, sigma => timesteps.get(sigma)!, { parameterization })
    const sigmas = levels.map(({ sigma }) => sigma)
    const options = { order: Number(config.order ?? 2), lowerOrderFinal: steps < 15 }
    const start = scale(run.start, Math.sqrt(sigmas[0]! ** 2 + 1))
    let last: Float32Array = start
    for await (const { x } of dpmppMultistep(denoise, start, sigmas, options)) last = x
    const end = scale(last, 1 / Math.sqrt(sigmas.at(-1)! ** 2 + 1))
    const tensors = new Map([
      ['x_final', { shape: run.shape, data: end }],
      ['model_timesteps', vector(run.timesteps)],
    ])
    return filesAnswer(testCase, tensors, {})
  },
}

export const sd2Samplers: readonly Kind[] = [dpmSolverSampler]
