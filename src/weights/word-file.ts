import { writeFileAtomic } from '#platform'
import { FileError } from '../platform/errors.js'
import type { SourceLike } from '../platform/types.js'
import { fromFloat32, toFloat32 } from './dtypes.js'
import { openWeights } from './open-weights.js'
import { writeSafetensors } from './safetensors.js'
import { quoted } from './tensor-file.js'
import { encodeTorchFile } from './torch/write.js'

/** A word that a text encoder learned by textual inversion: as many vectors as it has tokens, one after the other. */
export interface LearnedWord {
  readonly word: string
  readonly width: number
  readonly vectors: Float32Array
}

/** Vectors of a word are a handful; more is no embedding. */
const most = 1024

/**
 * The words of an embedding's file: of diffusers (`{word: vectors}`), of AUTOMATIC1111 (`string_to_param`, `emb_params`,
 * and for Stable Diffusion XL's two text encoders `clip_l` and `clip_g`; the word is then the file's name), in torch's
 * format or safetensors. A word for two text encoders is there twice.
 *
 * Throws FileError where it is damaged or something else.
 */
export async function readWords(from: SourceLike): Promise<LearnedWord[]> {
  const file = await openWeights(from)
  try {
    const words: LearnedWord[] = []
    for (const [name, { shape }] of file.tensors) {
      // The ids of the placeholder, which the first implementation kept as tensors.
      if (name.startsWith('string_to_token.')) continue
      const [width, count = 1, ...more] = shape.toReversed()
      if (width === undefined || width < 2 || more.length > 0 || count < 1 || count > most) {
        throw new FileError(
          file.name,
          `holds ${quoted(name)} of shape [${shape}]; wanted is an embedding, [vectors, width] or [width]`,
        )
      }
      const word = /^(string_to_param\.|emb_params$|clip_[lg]$)/.test(name) ? stemOf(file.name) : name
      words.push({ word, width, vectors: toFloat32(await file.read(name)) })
    }
    if (words.length === 0) throw new FileError(file.name, 'holds no embedding')
    return words
  } finally {
    await file.close()
  }
}

const stemOf = (path: string): string => path.replace(/^.*[/\\]/, '').replace(/\.[^.]*$/, '')

/** Writes a word as diffusers' `load_textual_inversion` and the web interfaces read it: a safetensors file `{word: vectors}`. */
export async function writeWord(path: string, { word, width, vectors }: LearnedWord): Promise<void> {
  await writeSafetensors(path, new Map([[word, fromFloat32(vectors, [vectors.length / width, width])]]))
}

/**
 * Writes a word as AUTOMATIC1111 does, in torch's format; there the word is what the file is called.
 * Source: modules/textual_inversion/textual_inversion.py, Embedding.save.
 */
export async function writeWordForA1111(
  path: string,
  { word, width, vectors }: LearnedWord,
  step: number,
): Promise<void> {
  const tensor = fromFloat32(vectors, [vectors.length / width, width])
  const contents = {
    // The token that stands for the word while it is trained; 265 is CLIP's "*".
    string_to_token: { '*': 265 },
    string_to_param: { '*': tensor },
    name: word,
    step,
    sd_checkpoint: null,
    sd_checkpoint_name: null,
  }
  await writeFileAtomic(path, encodeTorchFile(contents))
}
