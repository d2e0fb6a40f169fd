import { type ConditionsReader, inputsOf, stack } from '../../conditioning/index.js'
import { captionBy, type Draw } from '../../data/index.js'
import { factorOf, type ModelConfig } from '../../pipelines/model-config.js'
import { placeOf } from '../../pipelines/programs.js'
import type { TorchGenerator } from '../../random/index.js'
import type { HostTensors } from '../../runtime/index.js'
import type { Latents } from '../latents/contract.js'

/** What chance decides for the conditions of a batch. */
export interface ConditionChance {
  /** Whether a sample goes without its conditions. */
  readonly dropped: (sample: number) => boolean
  /** A generator for each sample. */
  readonly random: (sample: number) => TorchGenerator
  /** Sentences instead of the pictures' own. */
  readonly captions?: readonly string[] | undefined
}

/** Makes the inputs of a model's conditions for some pictures of one shape, [batch, ...] each. */
export type ConditionBatches = (draws: readonly Draw[], chance: ConditionChance) => Promise<HostTensors>

/** Makes the inputs of a model's conditions from what is known and seen of pictures. */
export function conditionBatches(
  config: ModelConfig,
  reader: ConditionsReader,
  { dataset, shapeOf, see }: Pick<Latents, 'dataset' | 'shapeOf' | 'see'>,
): ConditionBatches {
  const factor = factorOf(config)
  return async (draws, { dropped, random, captions }) => {
    const [, height, width] = shapeOf(draws[0]!.index)
    const place = placeOf(config, { width: width * factor, height: height * factor })
    const specs = inputsOf(config.conditioning, place)
    const numbers = await Promise.all(
      draws.map((draw, i) => {
        const picture = dataset.pictures[draw.index]!
        const caption = captions?.[i] ?? captionBy(picture.captions, draw.caption)
        const record = { index: draw.index, picture, caption, random: random(i), ...see(draw) }
        return reader.ofRecord(record, place, dropped(i))
      }),
    )
    return stack(specs, numbers)
  }
}
