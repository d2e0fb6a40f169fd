import { discreteSigmas, type Level, schedules } from '../../diffusion/index.js'
import { interpolate } from '../../image/index.js'
import { deisInTime } from '../multistep/deis-in-time.js'
import { lms } from '../multistep/lms.js'
import { unipc } from '../multistep/unipc.js'
import type { SigmaLoop } from '../table.js'
import { brownianNoise, drawsOf, lengthOf, type NoiseSource, once, together } from './draws.js'
import { kDiffusionSteps, throughLogarithms, toWholeTimesteps } from './k-diffusion.js'
import type { Profile } from './profile.js'

const plain = { schedule: 'normal' } as const
/** comfy/samplers.py, DISCARD_PENULTIMATE_SIGMA_SAMPLERS. */
const discarding = { ...plain, discard: true } as const
/** comfy/k_diffusion/sampling.py, sample_dpmpp_sde and its kin: BrownianTreeNoiseSampler(..., cpu=True). */
const brownian = { ...plain, brownian: true } as const

/** comfy/extra_samplers/uni_pc.py, sample_unipc: third order where there are steps for it, not quite to a clean image. */
function unified(variant: 'bh1' | 'bh2'): SigmaLoop {
  return (denoise, x, sigmas) => {
    const levels = Array.from(sigmas, sigma => sigma || 0.001)
    const order = Math.max(Math.min(3, levels.length - 2), 1)
    return unipc(denoise, x, levels, { order, variant, lowerOrderFinal: true })
  }
}

/**
 * ComfyUI's KSampler: the start of all pictures of a batch is drawn at once on the processor (comfy/sample.py,
 * prepare_noise), the steps' noise on the device by a fresh generator with the same seed, on the processor with the next
 * (comfy/k_diffusion/sampling.py, default_noise_sampler); the network is told whole timesteps (comfy/model_sampling.py,
 * ModelSamplingDiscrete.timestep). Defaults are those of its first workflow.
 */
export const comfyui: Profile = {
  label: 'ComfyUI',
  source: 'comfyanonymous/ComfyUI 02159d8',
  defaults: { sampler: 'euler', steps: 20, guidance: 8, promptStyle: 'comfyui' },
  draws: 'gpu',
  samplers: {
    euler: plain,
    euler_ancestral: plain,
    heun: plain,
    heunpp2: plain,
    dpm_2: discarding,
    dpm_2_ancestral: discarding,
    // comfy/k_diffusion/sampling.py, sample_lms.
    lms: { ...plain, loop: (denoise, x, sigmas) => lms(denoise, x, sigmas, { straightEnd: true }) },
    dpm_fast: { ...plain, open: true },
    dpm_adaptive: { ...plain, open: true },
    dpmpp_2s_ancestral: plain,
    dpmpp_sde: brownian,
    dpmpp_2m: plain,
    dpmpp_2m_sde: brownian,
    dpmpp_2m_sde_heun: brownian,
    dpmpp_3m_sde: brownian,
    ddpm: plain,
    lcm: plain,
    ipndm: plain,
    ipndm_v: plain,
    deis: { ...plain, loop: deisInTime },
    res_multistep: plain,
    res_multistep_ancestral: plain,
    gradient_estimation: plain,
    er_sde: plain,
    seeds_2: plain,
    seeds_3: plain,
    sa_solver: plain,
    sa_solver_pece: plain,
    uni_pc: { ...discarding, loop: unified('bh1') },
    uni_pc_bh2: { ...discarding, loop: unified('bh2') },
    // comfy/samplers.py, ksampler: euler, with inpaint_options.
    ddim: { ...plain, apart: true },
  },
  schedules: [
    'normal',
    'karras',
    'exponential',
    'sgm_uniform',
    'simple',
    'ddim_uniform',
    'beta',
    'linear_quadratic',
    'kl_optimal',
    'ays',
    'ays_sdxl',
    'ays_svd',
    'gits',
  ],
  // comfy/samplers.py, normal_scheduler.
  formulas: {
    normal: throughLogarithms(schedules.normal.levels),
    sgm_uniform: throughLogarithms(schedules.sgm_uniform.levels),
  },
  way(request, rules, levels) {
    const steps = toWholeTimesteps(kDiffusionSteps(request, rules, levels), request.alphasCumprod)
    return { steps, startScale: noiseAt(steps[0]!.from, request.alphasCumprod) }
  },
  // nodes.py, SaveImage: np.clip(i, 0, 255).astype(np.uint8).
  rounding: 'truncate',
  // Two KSamplerAdvanced, the first of which returns what is left of the noise.
  refines: 'anew',
  // comfy/samplers.py, KSampler.set_steps: as many steps as asked for, the last of so many more.
  fromPicture: {
    planned: (steps, strength) => (strength > 0.9999 ? steps : Math.floor(steps / strength)),
    taken: steps => steps,
    noise: noiseAt,
  },
  // comfy/samplers.py, KSamplerX0Inpaint; comfy/utils.py, reshape_mask; nodes.py, InpaintModelConditioning.
  inpainting: {
    keeping: () => 'noised',
    share: (pixels, from, to) => interpolate(pixels, from, to, { mode: 'bilinear' }),
    told: true,
  },
  // comfy_extras/nodes_model_advanced.py, RescaleCFG.
  rescales: 'v',
  options: () => ({ wholeTimesteps: true, wholeImages: true }),
  noise(request, { brownian, apart }) {
    const { source, pictures } = request
    const drawn = (source: NoiseSource, delta: number) =>
      together(pictures.map(picture => drawsOf(source, { ...picture, seed: picture.seed + delta }, lengthOf(request))))
    const start = once(drawn('cpu', 0))
    return {
      start,
      known: apart ? once(drawn('cpu', 1)) : start,
      next: brownian ? brownianNoise(request, 'cpu') : drawn(source, source === 'gpu' ? 0 : 1),
    }
  },
}

/** As in training at the highest level, where a picture adds its variance; noise alone below it (noise_scaling). */
function noiseAt({ alpha, sigma }: Level, alphasCumprod: ArrayLike<number>): number {
  const highest = discreteSigmas(alphasCumprod).sigmas.at(-1)!
  return sigma / alpha > highest * (1 - 1e-5) ? 1 : sigma
}
