import type { Names } from './names.js'

/** CLIP's text transformer by the names of Hugging Face. */
export interface HuggingFaceWords {
  readonly vocab_size: number
  readonly hidden_size: number
  readonly intermediate_size: number
  readonly num_hidden_layers: number
  readonly num_attention_heads: number
  readonly max_position_embeddings: number
  readonly projection_dim?: number | undefined
}

/** The same by the names of openai/CLIP, which are OpenCLIP's. */
export interface OpenClipWords {
  readonly width: number
  readonly heads: number
  readonly layers: number
  readonly vocab_size: number
  readonly embed_dim: number
  readonly context_length: number
}

/** The words of a text encoder of either make. */
export type TowerWords = HuggingFaceWords | OpenClipWords

/** Channels of a text encoder's tokens. */
export const widthOfTower = (words: TowerWords): number => ('width' in words ? words.width : words.hidden_size)

/** Every CLIP that is known has heads of this width, but narrow ones have one at least. */
const headsOf = (width: number): number => Math.max(1, Math.floor(width / 64))

/** Reads the words of a text encoder off its tensors, below `at` as Stable Diffusion's embedders have them; undefined without one. */
export const towerWords = (names: Names, at: string): TowerWords | undefined =>
  huggingFaceWords(names, `${at}transformer`) ?? openClipWords(names, `${at}model`)

function huggingFaceWords(names: Names, at: string): HuggingFaceWords | undefined {
  const words = names.shape(`${at}.text_model.embeddings.token_embedding.weight`)
  const places = names.shape(`${at}.text_model.embeddings.position_embedding.weight`)
  const inner = names.shape(`${at}.text_model.encoder.layers.0.mlp.fc1.weight`)
  if (!words || !places || !inner) return undefined
  const [vocab_size, hidden_size] = words as [number, number]
  const projection = names.shape(`${at}.text_projection.weight`)
  return {
    vocab_size,
    hidden_size,
    intermediate_size: inner[0]!,
    num_hidden_layers: names.count(`${at}.text_model.encoder.layers`),
    num_attention_heads: headsOf(hidden_size),
    max_position_embeddings: places[0]!,
    ...(projection && { projection_dim: projection[0]! }),
  }
}

function openClipWords(names: Names, at: string): OpenClipWords | undefined {
  const words = names.shape(`${at}.token_embedding.weight`)
  const places = names.shape(`${at}.positional_embedding`)
  if (!words || !places) return undefined
  const [vocab_size, width] = words as [number, number]
  return {
    width,
    heads: headsOf(width),
    layers: names.count(`${at}.transformer.resblocks`),
    vocab_size,
    embed_dim: names.shape(`${at}.text_projection`)?.[1] ?? width,
    context_length: places[0]!,
  }
}
