import { type TimedLevel, timedLevel, vpLevel } from '../../diffusion/index.js'
import { ipndm, ipndmHalfVariable } from '../multistep/ipndm.js'
import { lms } from '../multistep/lms.js'
import { type BatchNoise, generatorOf, lengthOf, type NoiseRequest, plainNoise, together } from './draws.js'
import { endingAt, fromNoiseAlone, kDiffusionSteps } from './k-diffusion.js'
import type { Profile } from './profile.js'

const discrete = { schedule: 'normal' } as const

/** Levels at the timesteps of LCM's distillation in 50 steps (src/runtime/denoiser.hpp, LCMScheduler). */
function distilledLevels(alphasCumprod: ArrayLike<number>, steps: number): TimedLevel[] {
  const stride = Math.floor(alphasCumprod.length / 50)
  return Array.from({ length: steps }, (_, i) =>
    timedLevel(alphasCumprod, (50 - Math.floor((i * 50) / steps)) * stride - 1),
  )
}

/**
 * Pictures are encoded once for all that are made, by a generator of the first one's seed, which starts anew for the noise;
 * after the picture itself comes what is left of it beside a mask (prepare_image_generation_latents).
 */
function encodedNoise(request: NoiseRequest): Required<Pick<BatchNoise, 'encoded' | 'conditions'>> {
  const { source, pictures, first = pictures[0]! } = request
  const length = lengthOf(request)
  const picture = generatorOf(source, first)(length)
  return {
    encoded: together(pictures.map(() => () => picture)),
    conditions: pictures.map(() => {
      const draw = generatorOf(source, first)
      draw(length)
      return draw
    }),
  }
}

/**
 * stable-diffusion.cpp: each picture by a generator of its own, its start and its steps from the same one
 * (src/stable-diffusion.cpp, get_rng and the loop over request.batch_count; src/core/rng_philox.hpp), levels and samplers
 * of src/runtime/denoiser.hpp, defaults of sd_sample_params_init and resolve_eta.
 */
export const sdcpp: Profile = {
  label: 'stable-diffusion.cpp',
  source: 'leejet/stable-diffusion.cpp 97d2990',
  defaults: { sampler: 'euler_ancestral', steps: 20, guidance: 7, promptStyle: 'sdcpp' },
  draws: 'gpu',
  samplers: {
    euler: discrete,
    euler_ancestral: discrete,
    heun: discrete,
    dpm_2: discrete,
    dpmpp_2s_ancestral: discrete,
    dpmpp_2m: discrete,
    dpmpp_2m_v2: discrete,
    dpmpp_2m_sde: discrete,
    ipndm: { ...discrete, loop: (denoise, x, sigmas) => ipndm(denoise, x, sigmas, { eulerToClean: false }) },
    ipndm_v: { ...discrete, loop: ipndmHalfVariable },
    lms: { ...discrete, loop: (denoise, x, sigmas) => lms(denoise, x, sigmas, { late: 1 }) },
    res_multistep: discrete,
    res_2s: discrete,
    er_sde: discrete,
    gradient_estimation: discrete,
    ddim: { schedule: 'simple' },
    lcm: { schedule: 'trailing' },
    tcd: { schedule: 'trailing', eta: 0 },
  },
  schedules: [
    'normal',
    'karras',
    'exponential',
    'ays',
    'ays_sdxl',
    'ays_svd',
    'sgm_uniform',
    'simple',
    'beta',
    'smoothstep',
    'kl_optimal',
    'bong_tangent',
    'gits',
    'trailing',
  ],
  formulas: { trailing: distilledLevels },
  way(request, rules, levels) {
    const steps = kDiffusionSteps(request, rules, levels)
    return fromNoiseAlone(request.sampler === 'tcd' ? endingAt(steps, vpLevel(request.alphasCumprod[0]!)) : steps)
  },
  options: () => ({ wholeImages: true }),
  // src/runtime/preprocessing.hpp, preprocessing_float_to_u8.
  rounding: 'round',
  // src/stable-diffusion.cpp, prepare_image_generation_latents: t_enc, in single precision.
  fromPicture: {
    taken: (steps, strength) => Math.min(Math.floor(Math.fround(steps * Math.fround(strength))) + 1, steps),
    // make_hires_sigma_schedule.
    larger: (steps, strength) => ({ steps: Math.floor(Math.fround(steps / Math.fround(strength))), strength }),
  },
  // src/stable-diffusion.cpp, prepare_image_generation_latents: latent_mask and max_pool_2d.
  inpainting: { keeping: () => 'predicted', margin: 1, told: true },
  noise: request => ({ ...plainNoise(request), ...encodedNoise(request) }),
}
