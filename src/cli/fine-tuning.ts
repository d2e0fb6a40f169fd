import type { z } from 'zod'
import { bundledModel } from '../pipelines/loading/load.js'
import { parseConfig } from '../schema/index.js'
import {
  controlNetRecipe,
  dreamboothRecipe,
  type FineTuneOptions,
  loraRecipe,
  textualInversionRecipe,
  trainControlNet,
  trainDreambooth,
  trainLora,
  trainTextualInversion,
} from '../train/adapters/index.js'
import { type DataSettings, mapPlaces } from '../train/data-settings.js'
import type { TrainEvent } from '../train/events.js'
import { checkpointAt } from '../train/learner.js'
import type { Checkpoint } from '../weights/checkpoint.js'

type At = (path: string) => string

interface Method<Recipe> {
  readonly recipe: z.ZodType<Recipe>
  readonly train: (options: FineTuneOptions<Recipe>) => AsyncIterable<TrainEvent>
  /** Its own files, besides those that all have. */
  readonly places?: (recipe: Recipe, at: At) => Partial<Recipe>
  /** What generates with it. */
  readonly generate: (checkpoint: string, recipe: Recipe, base: string) => string
}

const method = <Recipe extends { base?: string | undefined; data: DataSettings }>(
  given: Method<Recipe>,
): ((text: string, file: string, at: At) => Promise<FineTuning>) => {
  return async (text, file, at) => {
    const read = parseConfig(text, given.recipe, file)
    const base = read.base === undefined ? undefined : at(read.base)
    const recipe = { ...read, base, data: mapPlaces(read.data, at), ...given.places?.(read, at) }
    const checkpoint = await checkpointAt(base ?? bundledModel())
    return {
      base: checkpoint,
      start: options => given.train({ ...options, recipe, base: checkpoint }),
      generate: trained => given.generate(trained, recipe, base === undefined ? '' : ` --model ${base}`),
    }
  }
}

/** A run that a recipe describes; close the base when it is over. */
export interface FineTuning {
  readonly base: Checkpoint
  start(options: Omit<FineTuneOptions<unknown>, 'recipe' | 'base'>): AsyncIterable<TrainEvent>
  /** The command that generates with what was trained. */
  generate(checkpoint: string): string
}

/** The ways of fine-tuning by their names on the command line. */
export const fineTunings = {
  lora: method({
    recipe: loraRecipe,
    train: trainLora,
    generate: (path, _, model) => `latentkit generate "…" --lora ${path}${model}`,
  }),
  'textual-inversion': method({
    recipe: textualInversionRecipe,
    train: trainTextualInversion,
    generate: (path, { word }, model) =>
      `latentkit generate "${word}" --embedding ${path.replace(/[^/\\]*$/, `${word.replace(/[<>:"|?*]/g, '')}.safetensors`)}${model}`,
  }),
  dreambooth: method({
    recipe: dreamboothRecipe,
    train: trainDreambooth,
    places: ({ prior }, at) => (prior === undefined ? {} : { prior: { ...prior, folder: at(prior.folder) } }),
    generate: (path, { captions }) => `latentkit generate "${captions[0]}" --model ${path}`,
  }),
  controlnet: method({
    recipe: controlNetRecipe,
    train: trainControlNet,
    places: ({ hints }, at) => (hints === undefined ? {} : { hints: at(hints) }),
    generate: (path, _, model) => `latentkit generate "…" --control ${path} --hint edges.png${model}`,
  }),
}
