import { discreteSigmas } from '../../diffusion/index.js'
import { brownianNoise, drawsOf, lengthOf, plainNoise, together } from './draws.js'
import { fromNoiseAlone, kDiffusionSteps, type Profile, toWholeTimesteps } from './profile.js'

const plain = { schedule: 'normal' } as const
/** comfy/samplers.py, DISCARD_PENULTIMATE_SIGMA_SAMPLERS. */
const discarding = { ...plain, discard: true } as const
/** comfy/k_diffusion/sampling.py, sample_dpmpp_sde and its kin: BrownianTreeNoiseSampler(..., cpu=True). */
const brownian = { ...plain, brownian: true } as const

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
    dpm_2: discarding,
    dpm_2_ancestral: discarding,
    lms: plain,
    dpm_fast: { ...plain, open: true },
    dpm_adaptive: { ...plain, open: true },
    dpmpp_2s_ancestral: plain,
    dpmpp_sde: brownian,
    dpmpp_2m: plain,
    dpmpp_2m_sde: brownian,
    dpmpp_3m_sde: brownian,
    ddpm: plain,
    lcm: plain,
    ddim: plain,
  },
  schedules: [
    'normal',
    'karras',
    'exponential',
    'sgm_uniform',
    'simple',
    'ddim_uniform',
    'beta',
    'ays',
    'ays_sdxl',
    'ays_svd',
  ],
  way(request, rules, levels) {
    const steps = toWholeTimesteps(kDiffusionSteps(request, rules, levels), request.alphasCumprod)
    const first = steps[0]?.from
    const highest = discreteSigmas(request.alphasCumprod).sigmas.at(-1)!
    // As in training from the highest level, where a picture adds its variance; noise alone below it (noise_scaling).
    const fromTop = first !== undefined && first.sigma / first.alpha > highest * (1 - 1e-5)
    return fromTop ? { steps, startScale: 1 } : fromNoiseAlone(steps)
  },
  // comfy/samplers.py, KSampler.set_steps: as many steps as asked for, the last of so many more.
  // nodes.py, SaveImage: np.clip(i, 0, 255).astype(np.uint8).
  rounding: 'truncate',
  fromPicture: {
    planned: (steps, strength) => (strength > 0.9999 ? steps : Math.floor(steps / strength)),
    taken: steps => steps,
  },
  options: () => ({ wholeTimesteps: true, wholeImages: true }),
  noise(request, { brownian }) {
    const { start } = plainNoise({ ...request, source: 'cpu' })
    if (brownian) return { start, next: brownianNoise(request, 'cpu') }
    const { source, pictures } = request
    const seedOf = (seed: number) => (source === 'gpu' ? seed : seed + 1)
    const next = pictures.map(picture => drawsOf(source, { ...picture, seed: seedOf(picture.seed) }, lengthOf(request)))
    return { start, next: together(next) }
  },
}
