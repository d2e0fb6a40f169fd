import { a1111 } from './a1111.js'
import { comfyui } from './comfyui.js'
import { compvis } from './compvis.js'
import { diffusers } from './diffusers.js'
import type { Profile } from './profile.js'
import { sdcpp } from './sdcpp.js'

/** The tools whose way from a seed to a picture is known, by their names in commands and configurations. */
export const profiles = { compvis, diffusers, a1111, comfyui, sdcpp } satisfies Record<string, Profile>

/** Name of a tool in `profiles`. */
export type ProfileName = keyof typeof profiles
