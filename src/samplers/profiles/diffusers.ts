import {
  diffusersSteps,
  levelOfSigma,
  type SamplingSchedule,
  type SchedulePlan,
  type SchedulerName,
  type Step,
  schedulePlan,
  schedulerConfig,
  sigmaOfNoSignal,
} from '../../diffusion/index.js'
import type { Size } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import type { SamplerName } from '../table.js'
import { sharedNoise } from './draws.js'
import type { Profile, Rest, SamplerRules } from './profile.js'

/** The class that stands for a sampler, and what its configuration says beside Stable Diffusion's own. */
const classes: Partial<Readonly<Record<SamplerName, readonly [SchedulerName, Readonly<Record<string, unknown>>?]>>> = {
  ddim: ['DDIMScheduler'],
  ddpm: ['DDPMScheduler'],
  plms: ['PNDMScheduler'],
  lcm: ['LCMScheduler'],
  tcd: ['TCDScheduler'],
  euler: ['EulerDiscreteScheduler'],
  euler_ancestral: ['EulerAncestralDiscreteScheduler'],
  heun: ['HeunDiscreteScheduler'],
  lms: ['LMSDiscreteScheduler'],
  dpm_2: ['KDPM2DiscreteScheduler'],
  dpm_2_ancestral: ['KDPM2AncestralDiscreteScheduler'],
  dpmpp_2s: ['DPMSolverSinglestepScheduler'],
  dpmpp_2m: ['DPMSolverMultistepScheduler'],
  dpmpp_2m_sde: ['DPMSolverMultistepScheduler', { algorithm_type: 'sde-dpmsolver++' }],
  dpmpp_2m_sde_heun: ['DPMSolverMultistepScheduler', { algorithm_type: 'sde-dpmsolver++', solver_type: 'heun' }],
  uni_pc: ['UniPCMultistepScheduler'],
  deis: ['DEISMultistepScheduler'],
}

/** What the classes' configurations call the schedules. */
const spacings = {
  trailing: { timestep_spacing: 'trailing' },
  leading: { timestep_spacing: 'leading' },
  linspace: { timestep_spacing: 'linspace' },
  karras: { use_karras_sigmas: true },
  exponential: { use_exponential_sigmas: true },
  beta: { use_beta_sigmas: true },
} satisfies Partial<Record<SamplingSchedule, object>>

/** The classes that have no use_karras_sigmas and the like. */
const withoutFormulas: readonly SchedulerName[] = [
  'DDIMScheduler',
  'DDPMScheduler',
  'PNDMScheduler',
  'LCMScheduler',
  'TCDScheduler',
  'EulerAncestralDiscreteScheduler',
]

/** The spacing that a class has by itself. */
function ownSpacing([name, own = {}]: readonly [SchedulerName, Readonly<Record<string, unknown>>?]): SamplerRules {
  return { schedule: schedulerConfig(name, own).timestep_spacing }
}

/** Betas whose products are the given ones, for a configuration. */
function betasOf(alphasCumprod: ArrayLike<number>): number[] {
  return Array.from(alphasCumprod, (bar, i) => 1 - bar / (alphasCumprod[i - 1] ?? 1))
}

/** A level of a plan; the classes that do not know of zero terminal SNR have an infinite one there. */
const levelAt = (sigma: number) => levelOfSigma(Math.min(sigma, sigmaOfNoSignal))

function stepsOf(name: SchedulerName, plan: SchedulePlan, config: ReturnType<typeof schedulerConfig>): Step[] {
  const { sigmas, timesteps } = plan
  if (!sigmas) return diffusersSteps(name, config, plan)
  return timesteps.map((t, i) => ({ from: { t, ...levelAt(sigmas[i]!) }, to: levelAt(sigmas[i + 1]!) }))
}

/** The classes that work in unit variance start from unit normals, the others from those times their highest level or so. */
function startScaleOf(name: SchedulerName, { sigmas, initNoiseSigma }: SchedulePlan): number {
  if (!sigmas || /^(DPMSolver|UniPC|DEIS)/.test(name)) return 1
  return Math.min(initNoiseSigma, sigmaOfNoSignal) * levelAt(sigmas[0]!).alpha
}

/**
 * PNDM's list of calls has its second timestep twice, for the improved Euler step that it begins with. Cut later, as pictures
 * cut it, it holds none twice: the first step is repeated where the second one would begin, and that one is never made
 * (scheduling_pndm.py, step_plms, counter 1).
 */
function pndmRest(whole: readonly Step[], cut: number): Rest {
  if (cut <= 0) return { steps: whole }
  const [before, at] = [whole[cut - 1]!, whole[cut]!]
  if (cut === 1) return { steps: whole.slice(1), first: { again: before, ahead: at.from } }
  return { steps: [before, ...whole.slice(cut + 1)], first: { ahead: at.from } }
}

/** torch's interpolate where no mode is named. */
const nearest = (pixels: Float32Array, from: Size, to: Size): Float32Array =>
  Float32Array.from({ length: to.width * to.height }, (_, i) => {
    const [x, y] = [i % to.width, Math.floor(i / to.width)]
    return pixels[Math.floor((y * from.height) / to.height) * from.width + Math.floor((x * from.width) / to.width)]!
  })

/**
 * The pipelines of diffusers: each picture by a generator of its own (a list of generators, drawn on the processor as the
 * documentation advises; utils/torch_utils.py, randn_tensor), Stable Diffusion's scheduler_config.json (steps_offset 1,
 * set_alpha_to_one false, clip_sample false) taken over by the other classes.
 */
export const diffusers: Profile = {
  label: 'diffusers',
  source: 'huggingface/diffusers 58eb52c',
  defaults: { sampler: 'plms', steps: 50, guidance: 7.5, promptStyle: 'plain' },
  // do_classifier_free_guidance: guidance_scale > 1.
  unguidedTo: 1,
  draws: 'cpu',
  samplers: Object.fromEntries(Object.entries(classes).map(([name, own]) => [name, ownSpacing(own)])),
  schedules: Object.keys(spacings) as (keyof typeof spacings)[],
  way({ sampler, schedule, steps, alphasCumprod }) {
    const [name, own = {}] = classes[sampler]!
    if (!('timestep_spacing' in spacings[schedule as keyof typeof spacings]) && withoutFormulas.includes(name)) {
      throw new LatentkitError(
        `diffusers has no ${schedule} levels for ${name}; choose trailing, leading or linspace, or another sampler`,
      )
    }
    const config = schedulerConfig(name, {
      num_train_timesteps: alphasCumprod.length,
      trained_betas: betasOf(alphasCumprod),
      rescale_betas_zero_snr: alphasCumprod[alphasCumprod.length - 1] === 0,
      steps_offset: 1,
      set_alpha_to_one: false,
      clip_sample: false,
      skip_prk_steps: true,
      ...own,
      ...spacings[schedule as keyof typeof spacings],
    })
    const plan = schedulePlan(name, config, steps)
    return {
      steps: stepsOf(name, plan, config),
      startScale: startScaleOf(name, plan),
    }
  },
  // pipeline_stable_diffusion_img2img.py, get_timesteps.
  fromPicture: {
    taken: (steps, strength) => Math.min(Math.floor(steps * strength), steps),
    rest: (whole, taken, sampler) => (sampler === 'plms' ? pndmRest(whole, whole.length - taken) : undefined),
  },
  // pipeline_stable_diffusion_inpaint.py, num_channels_unet 4; prepare_latents, is_strength_max; prepare_mask_latents.
  inpainting: {
    keeping: () => 'noised',
    share: (pixels, from, to) => nearest(pixels, from, to).map(value => (value < 0.5 ? 0 : 1)),
    fromNoise: true,
    restores: true,
    encodesRest: true,
  },
  refines: 'anew',
  // image_processor.py, numpy_to_pil.
  rounding: 'round',
  options: ({ steps }) => ({ lowerOrderFinal: steps < 15 }),
  // prepare_latents, where retrieve_latents samples; pipeline_stable_diffusion_upscale.py, noise on the small picture before
  // that of the latents; pipeline_stable_diffusion_inpaint.py, prepare_mask_latents after it.
  noise: sharedNoise,
}
