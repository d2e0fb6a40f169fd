import {
  betaSigmas,
  compvisSteps,
  ddimTimesteps,
  discreteSigmas,
  klOptimalSigmas,
  type Levels,
  levelsByFormula,
  logLinear,
  type Step,
  schedules,
  timedLevel,
  timeUniformSteps,
} from '../../diffusion/index.js'
import { resizeImage } from '../../image/index.js'
import { unipc } from '../multistep/unipc.js'
import type { SamplerName, SigmaLoop } from '../table.js'
import { brownianNoise, drawsOf, lengthOf, together } from './draws.js'
import { endingAt, fromNoiseAlone, kDiffusionSteps, throughLogarithms } from './k-diffusion.js'
import type { Profile, WayRequest } from './profile.js'

/** modules/sd_samplers_kdiffusion.py, samplers_k_diffusion; where no scheduler is named, that of the model itself. */
const own = { schedule: 'normal' } as const
const karras = { schedule: 'karras' } as const
const exponential = { schedule: 'exponential' } as const
/** modules/sd_samplers_timesteps.py. */
const timesteps = { schedule: 'uniform' } as const

/** modules/sd_schedulers.py, get_align_your_steps_sigmas: other digits, and the last level found is one to ask at. */
const aligned = {
  sd1: [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029],
  sdxl: [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113, 0.029],
} as const

const toByte = (share: number) => Math.round(share * 255)

const byTimesteps = (sampler: SamplerName) => sampler === 'ddim' || sampler === 'plms' || sampler === 'uni_pc'

/**
 * The steps of DDIM and PLMS: those of the original, of which the last is left out, so that a picture ends at timestep 1
 * (modules/sd_samplers_timesteps.py, get_timesteps; sd_samplers_timesteps_impl.py).
 */
function timestepSteps(alphasCumprod: ArrayLike<number>, steps: number): Step[] {
  const last = alphasCumprod.length - 1
  const rising = ddimTimesteps('uniform', steps, alphasCumprod.length).map(t => Math.min(t, last))
  return compvisSteps(alphasCumprod, rising).slice(0, -1)
}

/**
 * The steps of UniPC: as many as the original's timesteps are, but evenly spaced in time (modules/models/diffusion/uni_pc).
 * From a picture they start a timestep above the last of those that are taken, and the picture is noised to the next.
 */
function unifiedSteps({ alphasCumprod, steps, strength }: WayRequest): Step[] {
  const rising = ddimTimesteps('uniform', steps, alphasCumprod.length).map(t => Math.min(t, alphasCumprod.length - 1))
  const taken = strength === undefined ? rising.length : stepsOfPicture(steps, strength)
  const start = strength === undefined ? 1 : ((rising[taken - 1] ?? 0) + 1) / alphasCumprod.length
  const way = timeUniformSteps(alphasCumprod, taken, start)
  if (strength === undefined || !way[0]) return way
  return [{ from: timedLevel(alphasCumprod, rising[taken]!), to: way[0].from }, ...way]
}

const stepsOfPicture = (steps: number, strength: number) => Math.floor(Math.min(strength, 0.999) * steps)

/** modules/sd_samplers_timesteps_impl.py, unipc, with the settings that the interface comes with. */
const unified: SigmaLoop = (denoise, x, sigmas) =>
  unipc(denoise, x, sigmas, { order: Math.min(3, sigmas.length - 1), variant: 'bh1', lowerOrderFinal: true })

/** Levels of the model as LCM knows it: every 20th of its timesteps, the nearest of which it is told (sd_samplers_lcm.py). */
function distilled(levels: Levels): Levels {
  return (alphasCumprod, steps, options) => {
    const stride = Math.floor(alphasCumprod.length / 50)
    const known = Float32Array.from({ length: 50 }, (_, i) => alphasCumprod[(i + 1) * stride - 1]!)
    const { sigmaToT } = discreteSigmas(known)
    return levels(known, steps, options).map(level => ({
      ...level,
      t: (sigmaToT(level.sigma / level.alpha, true) + 1) * stride - 1,
    }))
  }
}

/**
 * AUTOMATIC1111's web interface: each picture by a generator of its own (modules/rng.py, ImageRNG), of the device unless
 * the setting randn_source says CPU; after the start by one whose seed is raised by eta_noise_seed_delta.
 */
export const a1111: Profile = {
  label: "AUTOMATIC1111's web interface",
  source:
    'AUTOMATIC1111/stable-diffusion-webui: modules/rng.py 0d5dc9a, sd_schedulers.py 02b0092, sd_samplers_common.py 044494d, sd_samplers_timesteps.py 1c77b18, sd_samplers_timesteps_impl.py 2035cbb',
  defaults: { sampler: 'dpmpp_2m', steps: 20, guidance: 7, promptStyle: 'a1111' },
  draws: 'gpu',
  samplers: {
    dpmpp_2m: karras,
    dpmpp_sde: { ...karras, brownian: true },
    dpmpp_2m_sde: { ...exponential, brownian: true },
    dpmpp_2m_sde_heun: { ...exponential, brownian: true },
    dpmpp_2s_ancestral: karras,
    dpmpp_3m_sde: { ...exponential, brownian: true, discard: true },
    euler_ancestral: own,
    euler: own,
    lms: own,
    heun: own,
    dpm_2: { ...karras, discard: true },
    dpm_2_ancestral: { ...karras, discard: true },
    // Whatever takes an eta is given 1 (modules/sd_samplers_common.py, Sampler.initialize).
    dpm_fast: { ...own, open: true, eta: 1 },
    dpm_adaptive: { ...own, open: true, eta: 1 },
    restart: karras,
    lcm: own,
    ddim: timesteps,
    plms: timesteps,
    uni_pc: { ...timesteps, loop: unified },
  },
  // modules/sd_schedulers.py, get_align_your_steps_sigmas.
  ofXl: { ays: 'ays_sdxl' },
  schedules: [
    'uniform',
    'normal',
    'karras',
    'exponential',
    'polyexponential',
    'sgm_uniform',
    'simple',
    'ddim_uniform',
    'ays',
    'ays_sdxl',
    'beta',
    'kl_optimal',
  ],
  formulas: {
    // Its uniform steps are k-diffusion's.
    uniform: throughLogarithms(schedules.normal.levels),
    normal: throughLogarithms(schedules.normal.levels),
    sgm_uniform: throughLogarithms(schedules.sgm_uniform.levels),
    ays: levelsByFormula(n => logLinear(aligned.sd1, n)),
    ays_sdxl: levelsByFormula(n => logLinear(aligned.sdxl, n)),
    beta: levelsByFormula(betaSigmas),
    kl_optimal: levelsByFormula((n, low, high) => klOptimalSigmas(n + 1, low, high)),
  },
  way(request, rules, levels) {
    const { sampler, alphasCumprod, steps } = request
    if (sampler === 'uni_pc') return { steps: unifiedSteps(request), startScale: 1 }
    if (byTimesteps(sampler)) return { steps: timestepSteps(alphasCumprod, steps), startScale: 1 }
    // A checkpoint's buffers are float32 there, and the ends of the levels are theirs to the last digit.
    const rounded = { ...request, alphasCumprod: Float32Array.from(alphasCumprod) }
    const all = kDiffusionSteps(rounded, rules, sampler === 'lcm' ? distilled(levels) : levels)
    if (request.schedule !== 'kl_optimal') return fromNoiseAlone(all)
    // Its KL-optimal levels have no 0 after them.
    const lowest = { alpha: 1, sigma: discreteSigmas(rounded.alphasCumprod).sigmas[0]! }
    return fromNoiseAlone(endingAt(all, lowest))
  },
  // modules/processing.py, process_images_inner: x_sample.astype(np.uint8).
  rounding: 'truncate',
  // modules/sd_samplers_common.py, apply_refiner.
  refines: 'onward',
  // modules/sd_samplers_common.py, setup_img2img_steps; sd_samplers_kdiffusion.py and sd_samplers_timesteps.py, sample_img2img.
  fromPicture: {
    taken: (steps, strength, sampler) =>
      stepsOfPicture(steps, strength) + (sampler === 'uni_pc' ? 0 : byTimesteps(sampler) ? -1 : 1),
    above: byTimesteps,
    larger(asked, strength) {
      const steps = Math.floor(asked / Math.min(strength, 0.999))
      return { steps, strength: (asked - 0.5) / steps }
    },
    pathOverAll: true,
  },
  // modules/processing.py, StableDiffusionProcessingImg2Img.init; modules/sd_samplers_timesteps.py, CFGDenoiserTimesteps.
  inpainting: {
    keeping: sampler => (byTimesteps(sampler) ? 'clean' : 'predicted'),
    restores: true,
    share(pixels, from, to) {
      // As a picture of bytes, so that what would be beyond white is white.
      const bytes = Uint8Array.from({ length: 3 * pixels.length }, (_, i) => toByte(pixels[Math.floor(i / 3)]!))
      const { data } = resizeImage({ ...from, channels: 3, data: bytes }, to.width, to.height)
      return Float32Array.from({ length: data.length / 3 }, (_, i) => Math.round(data[3 * i]! / 255))
    },
    told: true,
  },
  noise(request, { brownian }) {
    const { source, pictures, seedDelta = 0 } = request
    const length = lengthOf(request)
    const draws = pictures.map(picture => drawsOf(source, picture, length))
    const start = together(draws)
    if (brownian) return { start, next: brownianNoise(request, source) }
    const later = ({ seed, ...picture }: (typeof pictures)[number]) => ({ ...picture, seed: seed + seedDelta })
    const after = seedDelta === 0 ? draws : pictures.map(picture => drawsOf(source, later(picture), length))
    return { start, next: together(after) }
  },
}
