import { compvisSteps, cumulativeAlphas, ddimTimesteps, everyStep, makeBetas } from '../../../../diffusion/index.js'
import { clipTo, ddim, ddpm, plms, predictor } from '../../../../samplers/index.js'
import type { Case } from '../../case.js'
import type { Answer, FileAnswer, Kind } from '../../kind.js'
import { readBetaSchedule } from '../schedules.js'
import { compvisParameterization, type Experiment, experiment, stacked } from './formula.js'

async function setUp(testCase: Case) {
  const run = await experiment(testCase)
  const { config } = testCase
  const schedule = readBetaSchedule(config.schedule)
  return {
    run,
    trainTimesteps: schedule.timesteps,
    alphasCumprod: Float32Array.from(cumulativeAlphas(makeBetas(schedule))),
    predict: run.predict(
      predictor(run.network, {
        parameterization: compvisParameterization(config.parameterization),
        limit: config.clip_denoised === true ? clipTo(1) : undefined,
      }),
    ),
  }
}

/** The same values for the .safetensors file of a case, the same JSON for its .json file. */
export function filesAnswer(testCase: Case, tensors: FileAnswer, json: FileAnswer): Answer {
  const files = testCase.filesOf('expected').map(file => [file, file.endsWith('.json') ? json : tensors] as const)
  return { files: Object.fromEntries(files) }
}

function trajectory(run: Experiment, x: readonly Float32Array[], name: string, values: readonly Float32Array[]) {
  return new Map([
    ['x', stacked([run.start, ...x], run.shape)],
    [name, stacked(values, run.shape)],
  ])
}

const ddimAndPlms: Kind = {
  kind: 'samplers',
  recognises: ({ objects }) => /DDIMSampler|PLMSSampler/.test(objects),
  async run(testCase) {
    const { run, predict, alphasCumprod, trainTimesteps } = await setUp(testCase)
    const timesteps = ddimTimesteps(
      testCase.config.ddim_discretize === 'quad' ? 'quad' : 'uniform',
      Number(testCase.config.S),
      trainTimesteps,
    )
    const steps = compvisSteps(alphasCumprod, timesteps)
    const x: Float32Array[] = []
    const x0: Float32Array[] = []
    const sampling = testCase.objects.includes('PLMSSampler')
      ? plms(predict, run.start, steps)
      : ddim(predict, run.start, steps, { eta: Number(testCase.config.eta ?? 0), noise: run.noise })
    for await (const step of sampling) {
      x.push(step.x)
      x0.push(step.x0)
    }
    return filesAnswer(testCase, trajectory(run, x, 'pred_x0', x0), { timesteps_in_order_of_use: timesteps.reverse() })
  },
}

const ddpmSampler: Kind = {
  kind: 'samplers',
  recognises: ({ objects }) => objects.includes('DDPM.p_sample'),
  async run(testCase) {
    const { run, predict, alphasCumprod } = await setUp(testCase)
    const x: Float32Array[] = []
    const means: Float32Array[] = []
    const options = { noise: run.noise, variance: Number(testCase.config.v_posterior ?? 0) }
    for await (const step of ddpm(predict, run.start, everyStep(alphasCumprod), options)) {
      x.push(step.x)
      means.push(step.mean)
    }
    return filesAnswer(testCase, trajectory(run, x, 'mean', means), {})
  },
}

export const compvisSamplers: readonly Kind[] = [ddimAndPlms, ddpmSampler]
