import { type ConditioningConfig, type ConditioningRecipe, conditioningConfig, present } from './config.js'
import type { Lesson, Sight, Stored } from './contract.js'

/** What of pictures the records of a model's conditions look at. */
export const sightsOf = (config: ConditioningConfig | ConditioningRecipe | undefined): Sight[] => [
  ...new Set(present(config).flatMap(({ conditioning }) => conditioning.sees ?? [])),
]

/** Fills in what the data decide; throws FileError where they cannot be used. */
export async function learnConditions(
  recipe: ConditioningRecipe,
  {
    before,
    ...lesson
  }: Omit<Lesson, 'before'> & { before?: { config: ConditioningConfig; stored: Stored } | undefined },
): Promise<{ config: ConditioningConfig; vocabulary?: string }> {
  const config: Record<string, unknown> = {}
  let vocabulary: string | undefined
  for (const { name, conditioning, config: given } of present(recipe)) {
    const known =
      before?.config[name] === undefined ? undefined : { config: before.config[name], stored: before.stored }
    const learned = conditioning.learn
      ? await conditioning.learn(given, { ...lesson, before: known })
      : { config: given }
    config[name] = learned.config
    vocabulary ??= learned.vocabulary
  }
  return { config: conditioningConfig.parse(config), ...(vocabulary !== undefined && { vocabulary }) }
}

/** A recipe's conditions with their files as they are seen from elsewhere. */
export const withFiles = (recipe: ConditioningRecipe, at: (path: string) => string): ConditioningRecipe =>
  Object.fromEntries(
    present(recipe).map(({ name, conditioning, config }) => [name, conditioning.files?.(config, at) ?? config]),
  )

/** What `learnConditions` would give as far as a recipe alone tells. */
export const assumedConditions = (recipe: ConditioningRecipe | undefined): ConditioningConfig =>
  conditioningConfig.parse(
    Object.fromEntries(
      present(recipe).map(({ name, conditioning, config }) => [name, conditioning.assume?.(config) ?? config]),
    ),
  )
