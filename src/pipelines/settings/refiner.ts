import { z } from 'zod'
import { type ProfileName, profiles } from '../../samplers/index.js'
import { settingsGroup } from './group.js'

/** What is to be seen of a model that refines pictures of another. */
export interface RefiningModel {
  readonly name: string
  readonly generate: unknown
}

const isModel = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'generate' in value && 'name' in value

/** Another model for the last part of the way, such as Stable Diffusion XL's refiner. */
export const refiner = settingsGroup({
  shape: {
    refiner: z
      .custom<RefiningModel>(isModel, 'wanted a model, as load gives it')
      .optional()
      .meta({ placeholder: 'FILE' })
      .describe('a model that goes the end of the way, such as the refiner of Stable Diffusion XL'),
    refineFrom: z.number().gt(0).lt(1).default(0.8).describe('share of the way after which the refiner goes on'),
  },
  check({ refiner, ...rest }) {
    const { profile } = rest as { profile?: ProfileName }
    if (refiner === undefined || profile === undefined || profiles[profile].refines) return undefined
    const others = Object.values(profiles).flatMap(({ refines, label }) => (refines ? label : []))
    return {
      at: 'refiner',
      message: `is nothing that ${profiles[profile].label} has; leave it out, or take the profile of ${others.join(', ')}`,
    }
  },
  // Of the model the name alone is told: it is not loaded again.
  lines: {
    refiner: { label: 'Refiner', show: ({ name }) => name },
    refineFrom: { label: 'Refiner switch at', beside: 'refiner', read: Number },
  },
})
