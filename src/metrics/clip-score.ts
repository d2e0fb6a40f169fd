import { readBytes } from '#platform'
import type { Image } from '../image/index.js'
import { type ClipVisionConfig, clipVision } from '../perceptual/clip-vision.js'
import { clipVisionConfigOf } from '../perceptual/feature-networks.js'
import { FileError } from '../platform/errors.js'
import type { SourceLike } from '../platform/types.js'
import { type Device, type Executable, hostIntegers, hostTensor } from '../runtime/index.js'
import { type Scope, trace } from '../tensor/program.js'
import { f32, i64, type Tensor } from '../tensor/tensor.js'
import { clipText, clipTextConfig, clipTextProjection } from '../text/encoder-clip.js'
import { openClipEmbedding, openClipText, openClipTextConfig } from '../text/encoder-openclip.js'
import { clipTokenizer, vocabularyText } from '../text/index.js'
import { openWeights } from '../weights/open-weights.js'
import { closingOnError, type TensorFile } from '../weights/tensor-file.js'
import type { Figure } from './measure.js'
import { prepare } from './prepare.js'

/** The files of a CLIP. */
export interface ClipOptions {
  /** A whole CLIP, text and image half, by Hugging Face's or OpenCLIP's names. */
  readonly weights: SourceLike
  /** `merges.txt` or openai/CLIP's `bpe_simple_vocab_16e6.txt.gz`. */
  readonly vocabulary: SourceLike
  /** openai's models: quick_gelu (default); OpenCLIP's own: gelu. */
  readonly activation?: ClipVisionConfig['activation'] | undefined
}

/** How well pictures fit sentences, by a CLIP on a device. */
export interface ClipScorer extends AsyncDisposable {
  readonly label: string
  /** 100 times the cosine between a picture and its sentence, 0 where it is negative, for each of a batch. */
  score(images: readonly Image[], captions: readonly string[]): Promise<number[]>
  /** Sentences in the space that they share with pictures: [sentences, width] in one. */
  read(sentences: readonly string[]): Promise<Float32Array>
}

/**
 * Puts a CLIP on a device; dispose of it when done.
 *
 * Source of the score: Hessel et al. 2021 (there 2.5 times the cosine), as torchmetrics scales it.
 * @throws FileError for files that hold no CLIP with both halves, or no vocabulary.
 */
export async function openClip(device: Device, { weights, vocabulary, activation }: ClipOptions): Promise<ClipScorer> {
  const merges = await vocabularyText(await readBytes(vocabulary), String(vocabulary))
  const tokenizer = clipTokenizer({ merges })
  const file = await openWeights(weights)
  return closingOnError(file, async () => {
    const vision = clipVisionConfigOf(file.tensors, activation)
    const text = vision && textHalf(file, vision)
    if (vision === undefined || text === undefined) {
      throw new FileError(
        file.name,
        'holds no CLIP with its text half and its image half by Hugging Face’s or OpenCLIP’s names',
      )
    }
    const { size, layers, width, patch } = vision
    const { length } = text
    const seeing = trace({ images: f32(-1, 3, size, size) }, (at, { images }) => ({
      embedding: clipVision(at, vision, images).embedding,
    }))
    const reading = trace({ tokens: i64(-1, length) }, (at, { tokens }) => ({ embedding: text.build(at, tokens) }))
    const see = onFirstUse(() => device.compile(seeing, { weights: file }))
    const read = onFirstUse(() => device.compile(reading, { weights: file }))
    async function textsOf(sentences: readonly string[]): Promise<Float32Array> {
      const ids = sentences.flatMap(sentence => [...tokenizer.encode(sentence, length).ids])
      const run = await read.get()
      return (await run({ tokens: hostIntegers(ids, [sentences.length, length]) })).embedding!.data as Float32Array
    }
    return {
      label: `CLIP ViT of ${layers} layers, ${width} wide, patches of ${patch}`,
      async score(images, captions) {
        const count = images.length
        const pixels = new Float32Array(count * 3 * size * size)
        for (const [i, image] of images.entries()) {
          pixels.set(prepare(image, { size, preparation: 'crop' }), (i * pixels.length) / count)
        }
        const run = await see.get()
        const seen = (await run({ images: hostTensor(pixels, [count, 3, size, size]) })).embedding!.data as Float32Array
        const told = await textsOf(captions)
        const wide = seen.length / count
        const row = (data: Float32Array, i: number) => data.subarray(i * wide, (i + 1) * wide)
        return images.map((_, i) => Math.max(0, 100 * cosine(row(seen, i), row(told, i))))
      },
      read: textsOf,
      async [Symbol.asyncDispose]() {
        await see.dispose()
        await read.dispose()
        await file.close()
      },
    }
  })
}

/** A network that is prepared when it is first asked, for not all who open a CLIP want both its halves. */
function onFirstUse(compile: () => Promise<Executable>) {
  let made: Promise<Executable> | undefined
  return {
    get() {
      made ??= compile()
      return made
    },
    dispose: async () => (await made)?.dispose(),
  }
}

interface TextHalf {
  /** Tokens of a sentence. */
  readonly length: number
  build(at: Scope, tokens: Tensor): Tensor
}

function textHalf({ tensors }: TensorFile, { names, activation, embed_dim }: ClipVisionConfig): TextHalf | undefined {
  const openai = names === 'openai'
  const shapeOf = (own: string, other: string) => tensors.get(openai ? own : other)?.shape
  const words = shapeOf('token_embedding.weight', 'text_model.embeddings.token_embedding.weight')
  const positions = shapeOf('positional_embedding', 'text_model.embeddings.position_embedding.weight')
  const place = openai ? 'transformer.resblocks' : 'text_model.encoder.layers'
  const inner = tensors.get(`${place}.0.mlp.${openai ? 'c_fc' : 'fc1'}.weight`)?.shape[0]
  if (words?.length !== 2 || positions?.length !== 2 || inner === undefined) return undefined
  const [vocab_size, width] = words as [number, number]
  const length = positions[0]!
  let layers = 0
  while (tensors.has(`${place}.${layers}.mlp.${openai ? 'c_fc' : 'fc1'}.weight`)) layers++
  // All published text towers have heads of 64.
  const heads = Math.max(1, width / 64)
  if (openai) {
    const config = openClipTextConfig.parse({
      embed_dim,
      context_length: length,
      vocab_size,
      width,
      heads,
      layers,
      activation,
    })
    const build = (at: Scope, tokens: Tensor) =>
      openClipEmbedding(at, config, openClipText(at, config, tokens).last, tokens)
    return { length, build }
  }
  const config = clipTextConfig.parse({
    vocab_size,
    hidden_size: width,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    max_position_embeddings: length,
    hidden_act: activation,
  })
  return { length, build: (at, tokens) => clipTextProjection(at, clipText(at, config, tokens).pooled, embed_dim) }
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!
    aa += a[i]! ** 2
    bb += b[i]! ** 2
  }
  return dot / Math.sqrt(aa * bb || 1)
}

/** The mean score of pictures and their sentences. */
export const clipFigure = (label: string, scores: readonly number[]): Figure => ({
  metric: 'clip-score',
  name: `CLIP score (${label})`,
  network: label,
  value: scores.reduce((sum, score) => sum + score, 0) / scores.length,
  pictures: scores.length,
  better: 'higher',
})
