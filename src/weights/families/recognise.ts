import { LatentkitError } from '../../platform/errors.js'
import { suggest } from '../../schema/nearest.js'
import type { ConfigJson, Family, Parts } from './family.js'
import { firstStageWords } from './first-stage-words.js'
import { firstStages } from './first-stages.js'
import { latentDiffusions } from './latent-diffusion.js'
import { type Names, namesOf, type Shapes } from './names.js'
import { stableDiffusions } from './stable-diffusion.js'
import { stableDiffusionXls } from './stable-diffusion-xl.js'
import { towerWords } from './tower-words.js'
import { unetWords } from './unet-words.js'

/** All families; of several that fit the first is meant. */
export const families: readonly Family[] = [
  ...stableDiffusions,
  ...stableDiffusionXls,
  ...latentDiffusions,
  ...firstStages,
]

/** What a file turned out to be. */
export interface Recognised {
  readonly family: Family
  readonly config: ConfigJson
}

/**
 * Tells of which family a checkpoint is, by names and shapes alone, and what its configuration so is; undefined where it is
 * of none. Names are those of CompVis' and Stability's single files.
 *
 * @param name of the family that it is to be taken for, where the names of two are the same
 * @throws LatentkitError where there is no such family, or the file lacks a network that it has.
 * @example recognise(file.tensors)?.family.name // 'sdxl'
 */
export function recognise(tensors: Shapes, name?: string): Recognised | undefined {
  const parts = partsOf(tensors)
  const family =
    name === undefined ? families.find(family => family.fits(parts) && !lackOf(family, parts)) : named(name, parts)
  return family && { family, config: family.config(parts) }
}

function named(name: string, parts: Parts): Family {
  const family = families.find(family => family.name === name)
  if (family === undefined) {
    const names = families.map(({ name }) => name)
    throw new LatentkitError(`There is no family of models called "${name}"; ${suggest(name, names)}`)
  }
  const words = { unet: 'UNet (model.diffusion_model.*)', stage: 'first stage (first_stage_model.*); give one as vae' }
  const missing = lackOf(family, parts)
  if (missing) throw new LatentkitError(`The file is not ${family.title}: it holds no ${words[missing]}`)
  return family
}

const lackOf = ({ needs = [] }: Family, parts: Parts) => needs.find(part => parts[part] === undefined)

function partsOf(tensors: Shapes): Parts {
  const names = namesOf(tensors)
  return {
    names,
    unet: unetWords(names, 'model.diffusion_model.'),
    stage: firstStageWords(names, 'first_stage_model.'),
    towers: towersOf(names),
  }
}

function towersOf(names: Names): Parts['towers'] {
  const alone = towerWords(names, 'cond_stage_model.')
  if (alone) return [alone]
  return Array.from(
    { length: names.count('conditioner.embedders') },
    (_, i) => towerWords(names, `conditioner.embedders.${i}.`) ?? [],
  ).flat()
}
