import type { Kind } from '../../kind.js'
import { compvisSamplers } from './compvis.js'
import { diffusersSamplers } from './diffusers.js'
import { kDiffusionSamplers } from './k-diffusion.js'

export const samplers: readonly Kind[] = [...compvisSamplers, ...diffusersSamplers, ...kDiffusionSamplers]
