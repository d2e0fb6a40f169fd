/** Settings that say which chance pictures are of. */
export interface SeedSettings {
  readonly seed?: number | undefined
  readonly seeds?: readonly number[] | undefined
  readonly count?: number | undefined
  readonly variationSeed?: number | undefined
  readonly variationStrength: number
  /** How many pictures of one seed a tool makes at once. */
  readonly batchSize?: number | undefined
}

/** A seed for each picture and one for its variation; seeds that are not given are drawn by chance. */
export function seedsOf({ seed, seeds, count = 1, batchSize, ...variation }: SeedSettings): {
  readonly seeds: readonly number[]
  readonly variationSeeds: readonly number[]
} {
  const { variationSeed, variationStrength } = variation
  const chance = () => Math.floor(Math.random() * 2 ** 32)
  // After the last whole number that is exact comes 0.
  const from = (first: number, step: number, count: number) =>
    Array.from({ length: count }, (_, i) =>
      i * step < 2 ** 53 - first ? first + i * step : i * step - (2 ** 53 - first),
    )
  // Variations are of one seed. Source: stable-diffusion-webui, modules/processing.py, process_images_inner.
  const ofOne = variationStrength > 0 || batchSize !== undefined
  const own = seeds ?? from(seed ?? chance(), ofOne ? 0 : 1, count)
  return { seeds: own, variationSeeds: from(variationSeed ?? chance(), 1, own.length) }
}
