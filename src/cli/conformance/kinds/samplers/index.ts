import type { Kind } from '../../kind.js'
import { compvisSamplers } from './compvis.js'
import { diffusersSamplers } from './diffusers.js'
import { kDiffusionSamplers } from './k-diffusion.js'
import { sd2Samplers } from './sd2.js'

export const samplers: readonly Kind[] = [
  ...compvisSamplers,
  ...diffusersSamplers,
  ...kDiffusionSamplers,
  ...sd2Samplers,
]
