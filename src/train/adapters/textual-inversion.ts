import { joinPath, parentFolder } from '#platform'
import { readersOf } from '../../conditioning/index.js'
import { tokenTables, withVectors } from '../../pipelines/adapters/new-words.js'
import { checkpointModel } from '../../pipelines/loading/checkpoint-model.js'
import { LatentkitError } from '../../platform/errors.js'
import { torchGenerator } from '../../random/index.js'
import { toFloat32 } from '../../weights/dtypes.js'
import { writeWord, writeWordForA1111 } from '../../weights/word-file.js'
import type { TrainEvent } from '../events.js'
import { type FineTuneOptions, fineTune } from './fine-tune.js'
import type { TextualInversionRecipe } from './recipes.js'

/**
 * Learns the vectors of a new word, and nothing else (Gal et al. 2022, textual inversion). Beside the checkpoint it writes
 * `WORD.safetensors`, which diffusers and the web interfaces load, and `WORD.pt`, as AUTOMATIC1111 writes it.
 *
 * Throws as all training does; LatentkitError where the model takes no text.
 */
export async function* trainTextualInversion(
  options: FineTuneOptions<TextualInversionRecipe>,
): AsyncGenerator<TrainEvent> {
  const { base, recipe, path } = options
  const { word, vectors: count, initial } = recipe
  const { config } = checkpointModel(base)
  const [table, ...more] = tokenTables(base.weights)
  if (table === undefined) throw new LatentkitError(`Cannot learn a word: ${base.name} takes no text`)
  if (more.length > 0)
    throw new LatentkitError(
      `Cannot learn a word: ${base.name} has ${more.length + 1} text encoders, wanted is a model of one`,
    )
  const { width, words } = table
  const reader = readersOf(base.name, config.conditioning, { ...base.info, words: new Map([[word, count]]) })

  const starts = tokensOf(initial)
  const rows = toFloat32(await base.read(table.name))
  const begin = new Float32Array(count * width)
  for (let i = 0; i < count; i++) {
    const row = starts[i % starts.length]!
    begin.set(rows.subarray(row * width, (row + 1) * width), i * width)
  }

  /** The vocabulary's tokens of a text, without what is put around every text. */
  function tokensOf(sentence: string): number[] {
    const { text, clip_text } = config.conditioning!
    const place = { width: 0, height: 0, latents: [0, 0, 0] } as const
    const one = readersOf(base.name, { text, clip_text }, base.info)
    const ids = (prompt: string) =>
      Array.from(one.ofRequest({ prompt, negativePrompt: '' }, place, torchGenerator(0)).positive.tokens!)
    const [, end] = ids('')
    const found = ids(sentence)
    const tokens = found.slice(1, found.indexOf(end!, 1))
    if (tokens.length === 0) throw new LatentkitError(`Cannot start a word as "${sentence}": it has no tokens`)
    return tokens
  }

  async function publish(values: ReadonlyMap<string, Float32Array>, step: number): Promise<undefined> {
    const learned = { word, width, vectors: values.get(words)! }
    const beside = (ending: string) => joinPath(parentFolder(path), `${word.replace(/[<>:"|?*]/g, '')}${ending}`)
    await writeWord(beside('.safetensors'), learned)
    await writeWordForA1111(beside('.pt'), learned, step)
  }

  yield* fineTune(
    { ...options, recipe: { ...recipe, captions: recipe.captions.map(caption => caption.replaceAll('{}', word)) } },
    {
      config,
      reader,
      begin: new Map([[table.words, begin]]),
      publish,
      adapt: withVectors([table], count),
    },
  )
}
