import type { ConditioningConfig } from '../../conditioning/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { type ClipTower, layersFromEnd, towerLayers, towerLength } from '../../text/clip-tower.js'
import { clipVocabularyFiles } from '../../text/index.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import {
  bertRenames,
  bertToDiffusers,
  textEncoderTensors,
  textEncoderToDiffusers,
} from '../../weights/diffusers/index.js'
import { bertPieces } from '../../weights/families/index.js'
import type { StoredTensor } from '../../weights/tensor-file.js'

/** A text encoder as a part of a folder of diffusers. */
export interface TextEncoder {
  readonly part: string
  readonly tokenizer: string
  readonly config: Record<string, unknown>
  /** What the model puts before its names. */
  readonly prefix: string
  /** Its tensors by transformers' names. */
  readonly tensors: (own: ReadonlyMap<string, StoredTensor>) => Map<string, StoredTensor>
  /** What model_index.json says of both. */
  readonly components: Readonly<Record<string, readonly [library: string, name: string]>>
  /** The tokenizer's files; throws LatentkitError where the checkpoint lacks the vocabulary. */
  files(checkpoint: Checkpoint): Readonly<Record<string, string>>
}

/**
 * The text encoders of a model that diffusers has a place for.
 *
 * Throws RangeError where it takes its context from a layer that pipelines of diffusers do not.
 */
export function textEncodersOf(conditioning: ConditioningConfig | undefined): TextEncoder[] {
  const { clip_text: text, text: own } = conditioning ?? {}
  if (own?.vocab_size === bertPieces) return [bert(own)]
  if (text === undefined) return []
  if (!('embedders' in text)) {
    // StableDiffusionPipeline takes the last layer's output: what comes after the one that is wanted is left out.
    const layers = towerLayers(text) + 1 - layersFromEnd(text)
    return [encoder(text, { place: 'cond_stage_model', part: '', layers, projected: false })]
  }
  return text.embedders.map((tower, i) => {
    if (layersFromEnd(tower) !== 2)
      throw new RangeError('pipelines of Stable Diffusion XL take the layer before the last; found another')
    // The refiner has the second encoder alone.
    const part = i === 0 && text.embedders.length > 1 ? '' : '_2'
    const layers = towerLayers(tower)
    return encoder(tower, { place: `conditioner.embedders.${i}`, part, layers, projected: tower.pooled })
  })
}

function encoder(
  tower: ClipTower,
  { place, part, layers, projected }: { place: string; part: string; layers: number; projected: boolean },
): TextEncoder {
  const [name, tokenizer] = [`text_encoder${part}`, `tokenizer${part}`]
  const config = textEncoderToDiffusers(tower, { layers, projected })
  return {
    part: name,
    tokenizer,
    config,
    prefix: `${place}.${'width' in tower ? 'model' : 'transformer'}.`,
    tensors: own => textEncoderTensors(tower, own, { layers, projected }),
    components: {
      [name]: ['transformers', projected ? 'CLIPTextModelWithProjection' : 'CLIPTextModel'],
      [tokenizer]: ['transformers', 'CLIPTokenizer'],
    },
    files: ({ name, info }) => {
      const { merges } = JSON.parse(info.vocabulary ?? '{}') as { merges?: unknown }
      if (typeof merges === 'string') return clipFiles(clipVocabularyFiles(merges), tower.padding, towerLength(tower))
      throw new LatentkitError(`Cannot write ${name} for diffusers: it has no vocabulary of CLIP`)
    },
  }
}

function bert(words: NonNullable<ConditioningConfig['text']>): TextEncoder {
  const { toDiffusers } = bertRenames(words)
  return {
    part: 'bert',
    tokenizer: 'tokenizer',
    config: bertToDiffusers(words),
    prefix: 'cond_stage_model.',
    tensors: own =>
      new Map(
        [...own].flatMap(([name, tensor]) => {
          const renamed = toDiffusers(name, tensor.shape)
          return renamed ? [[renamed.name, tensor] as const] : []
        }),
      ),
    components: { bert: ['latent_diffusion', 'LDMBertModel'], tokenizer: ['transformers', 'BertTokenizer'] },
    files: ({ name, info }) => {
      const { words: pieces } = JSON.parse(info.vocabulary ?? '{}') as { words?: unknown }
      if (typeof pieces !== 'string')
        throw new LatentkitError(`Cannot write ${name} for diffusers: it has no vocabulary of BERT`)
      return {
        'vocab.txt': pieces,
        'special_tokens_map.json': JSON.stringify(bertMarks),
        'tokenizer_config.json': JSON.stringify({
          tokenizer_class: 'BertTokenizer',
          do_lower_case: true,
          model_max_length: words.max_seq_len,
          ...bertMarks,
        }),
      }
    },
  }
}

const bertMarks = {
  unk_token: '[UNK]',
  sep_token: '[SEP]',
  pad_token: '[PAD]',
  cls_token: '[CLS]',
  mask_token: '[MASK]',
}

const [start, end] = ['<|startoftext|>', '<|endoftext|>']

/** The files of a CLIPTokenizer. */
function clipFiles(
  vocabulary: ReturnType<typeof clipVocabularyFiles>,
  padding: ClipTower['padding'],
  length: number,
): Record<string, string> {
  // The token with the number 0.
  const pad_token = padding === 'zero' ? '!' : end
  const special = { bos_token: start, eos_token: end, unk_token: end, pad_token }
  return {
    ...vocabulary,
    'special_tokens_map.json': JSON.stringify(special),
    'tokenizer_config.json': JSON.stringify({
      tokenizer_class: 'CLIPTokenizer',
      add_prefix_space: false,
      do_lower_case: true,
      errors: 'replace',
      model_max_length: length,
      ...special,
    }),
  }
}
