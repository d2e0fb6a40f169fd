import type { ConditioningConfig } from '../../conditioning/index.js'
import { type ClipTower, layersFromEnd, towerLayers, towerLength } from '../../text/clip-tower.js'
import type { clipVocabularyFiles } from '../../text/index.js'
import { textEncoderTensors, textEncoderToDiffusers } from '../../weights/diffusers/index.js'
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
  readonly padding: ClipTower['padding']
  /** Longest text, in tokens. */
  readonly length: number
}

/**
 * The text encoders of a model that diffusers has a place for.
 *
 * Throws RangeError where it takes its context from a layer that pipelines of diffusers do not.
 */
export function textEncodersOf(conditioning: ConditioningConfig | undefined): TextEncoder[] {
  const text = conditioning?.clip_text
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
  return {
    part: `text_encoder${part}`,
    tokenizer: `tokenizer${part}`,
    config: textEncoderToDiffusers(tower, { layers, projected }),
    prefix: `${place}.${'width' in tower ? 'model' : 'transformer'}.`,
    tensors: own => textEncoderTensors(tower, own, { layers, projected }),
    padding: tower.padding,
    length: towerLength(tower),
  }
}

const [start, end] = ['<|startoftext|>', '<|endoftext|>']

/** The files of a CLIPTokenizer. */
export function tokenizerFiles(
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
