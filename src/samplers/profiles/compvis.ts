import { compvisSteps, ddimTimesteps, everyStep, type Step, timeUniformSteps } from '../../diffusion/index.js'
import { plainNoise } from './draws.js'
import type { Profile } from './profile.js'

const uniform = { schedule: 'uniform' } as const

/** Ancestral sampling leaves no timestep out (ldm/models/diffusion/ddpm.py, progressive_denoising). */
function all(alphasCumprod: ArrayLike<number>, steps: number): Step[] {
  if (steps === alphasCumprod.length) return everyStep(alphasCumprod)
  throw new RangeError(
    `Stable Diffusion's own scripts take every timestep by ddpm, found ${steps} steps; wanted ${alphasCumprod.length}, or ddim`,
  )
}

/**
 * Stable Diffusion's own scripts: everything is drawn on the GPU, for all pictures of a batch at once (scripts/txt2img.py,
 * seed_everything and --n_samples; ldm/models/diffusion/ddim.py and plms.py, torch.randn of the whole shape).
 */
export const compvis: Profile = {
  label: "Stable Diffusion's own scripts",
  source: 'CompVis/stable-diffusion 21f890f',
  defaults: { sampler: 'ddim', steps: 50, guidance: 7.5, promptStyle: 'plain' },
  draws: 'gpu',
  samplers: { ddim: uniform, plms: uniform, dpmpp_2m: uniform, ddpm: uniform },
  schedules: ['uniform', 'quadratic'],
  way({ sampler, schedule, steps, alphasCumprod }) {
    // scripts/txt2img.py --dpm_solver.
    if (sampler === 'dpmpp_2m') return { steps: timeUniformSteps(alphasCumprod, steps), startScale: 1 }
    // latent-diffusion, scripts/sample_diffusion.py --vanilla_sample.
    if (sampler === 'ddpm') return { steps: all(alphasCumprod, steps), startScale: 1 }
    const timesteps = ddimTimesteps(schedule === 'quadratic' ? 'quad' : 'uniform', steps, alphasCumprod.length)
    return { steps: compvisSteps(alphasCumprod, timesteps), startScale: 1 }
  },
  // scripts/img2img.py: t_enc = int(strength * steps), stochastic_encode to it, decode from the step below.
  fromPicture: { taken: (steps, strength) => Math.floor(strength * steps), above: () => true },
  // ldm/models/diffusion/ddim.py and plms.py, the mask of their sampling.
  inpainting: { keeping: sampler => (sampler === 'ddim' || sampler === 'plms' ? 'before' : 'predicted') },
  // scripts/txt2img.py: (255. * x_sample).astype(np.uint8).
  rounding: 'truncate',
  options: ({ steps }) => ({ lowerOrderFinal: steps < 15 }),
  noise: plainNoise,
}
