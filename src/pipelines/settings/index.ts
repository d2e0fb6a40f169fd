import { z } from 'zod'
import { conditions } from './conditions.js'
import { control } from './control.js'
import type { SettingsGroup } from './group.js'
import { guidance } from './guidance.js'
import { guides } from './guides.js'
import { hires } from './hires.js'
import { mix } from './mix.js'
import { network } from './network.js'
import { pictures } from './pictures.js'
import { previews } from './previews.js'
import { profile } from './profile.js'
import { refiner } from './refiner.js'
import { sampling } from './sampling.js'
import { start } from './start.js'
import { tiles } from './tiles.js'
import { variation } from './variation.js'

/** All settings of a generation; a new group is a file and a line. Commands, pictures and plans go by it. */
const groups = {
  guidance,
  network,
  control,
  pictures,
  sampling,
  profile,
  previews,
  conditions,
  mix,
  start,
  variation,
  hires,
  refiner,
  tiles,
  guides,
}

type Groups = typeof groups
type Together<Union> = (Union extends unknown ? (each: Union) => void : never) extends (all: infer All) => void
  ? All
  : never
type Shapes = Together<Groups[keyof Groups]['shape']>

/** The groups one after the other. */
export const settingsGroups = Object.values(groups) as unknown as readonly SettingsGroup[]

/** The settings of a generation beside its prompt. */
export const generateSettings = z
  .strictObject(
    Object.assign({}, ...settingsGroups.map(({ shape }) => shape)) as { [Name in keyof Shapes]: Shapes[Name] },
  )
  .superRefine((settings, { addIssue }) => {
    for (const group of settingsGroups) {
      const problem = group.check?.(settings)
      if (problem) addIssue({ code: 'custom', path: [problem.at], message: problem.message })
    }
  })

/** Settings of a generation as they are handed in: every one may be left out. */
export type GenerateSettings = z.input<typeof generateSettings>
