import type { z } from 'zod'
import type { Dataset, Picture } from '../data/index.js'
import type { Image } from '../image/index.js'
import type { TorchGenerator } from '../random/index.js'
import type { Scope } from '../tensor/program.js'
import type { Spec, Tensor } from '../tensor/tensor.js'
import type { PromptStyle } from '../text/prompt/index.js'

/*
 * A conditioning is one file: the words of its configuration, the part of the network that embeds it, and how its numbers
 * are made from a record in training and from a request in generation. Trainer, pipeline, command line and configurations
 * all go by the table in `table.ts`; a new one is a new file and a line there.
 */

/** What reaches the UNet. Of several conditions, tokens and channels come one after the other. */
export interface Conditioned {
  /** Tokens for cross-attention, [batch, tokens, width]. */
  readonly context?: Tensor
  /** Channels beside the noisy latents, [batch, channels, height, width]. */
  readonly concat?: Tensor
  /** What `num_classes` of the UNet says; of several vectors they are joined. */
  readonly y?: Tensor
  /** Hints for ControlNets one after the other, [batch, 3 each, height, width] in pixels, and how much each counts at all places or at each, [batch, each, places]. */
  readonly hint?: Tensor
  readonly strength?: Tensor
  /** What T2I-adapters add at a level of the way down, counted from 0: [batch, c, h, w]. */
  readonly [feature: `feature_${number}`]: Tensor
  /** Tokens of a picture that are attended to beside the context, [batch, tokens, width], and how much they count, [batch, 1]. */
  readonly imageTokens?: Tensor
  readonly imageStrength?: Tensor
}

/** What a UNet must be made for. */
export interface Reach {
  /** Width of the tokens. */
  readonly context?: number
  /** Channels beside the latents. */
  readonly concat?: number
  /** Rows of the table that y is looked up in. */
  readonly y?: number
  /** Numbers of y where it is a vector: of adm_in_channels. */
  readonly vector?: number
}

/** Pixels of a picture, and [channels, height, width] of its latents. */
export interface Place {
  readonly width: number
  readonly height: number
  readonly latents: readonly [number, number, number]
}

/** Numbers of one sample by the names of the inputs. */
export type Numbers = Readonly<Record<string, ArrayLike<number>>>

/** What of a picture itself its conditions can look at. */
export type Sight = 'size' | 'pixels' | 'map' | 'hint'

/** A picture that is trained on, as its transform and chance have it. */
export interface TrainingRecord {
  /** Position in the dataset. */
  readonly index: number
  readonly picture: Picture
  readonly caption: string
  readonly mirrored: boolean
  /** The generator of this sample alone. */
  readonly random: TorchGenerator
  /** [3, height, width] in [-1, 1], as the network sees it. */
  pixels(): Promise<Float32Array>
  /** Of the whole picture, in pixels. */
  size(): Promise<{ readonly width: number; readonly height: number }>
  /** The part of the picture that the network sees, as fractions of the whole. */
  visible(): Promise<Box>
  /** Classes of the pixels that the network sees, [height, width], if the picture has a map. */
  map(): Promise<Uint8Array | undefined>
  /** What a ControlNet is to follow, [3, height, width] in [0, 1], if the picture comes with that. */
  hint(): Promise<Float32Array | undefined>
}

/** Left, top, width and height as fractions of the picture's. */
export type Box = readonly [number, number, number, number]

/** What a checkpoint keeps for its conditions beside weights and configuration. */
export interface Stored {
  readonly vocabulary?: string | undefined
  /** Words beside the vocabulary, with their numbers of tokens. */
  readonly words?: ReadonlyMap<string, number> | undefined
  /** Image embeddings to retrieve from, [pictures, width]. */
  readonly neighbours?: Neighbours | undefined
}

/** Embeddings of pictures, one row each: what a retrieval-augmented model is shown pictures by. */
export interface Neighbours {
  /** [pictures, width]. */
  readonly data: Float32Array
  /** Numbers of an embedding. */
  readonly width: number
  /** Those that may be found; all if left out. */
  readonly rows?: readonly number[]
}

/** A chunk of a text: its numbers by the names of the inputs, and how much each of its tokens counts. */
export interface SpokenChunk {
  readonly numbers: Numbers
  readonly weights: Float32Array
}

/** One of the texts that lead a picture together: what it says up to which call of the network (`stageAt`). */
export interface SpokenPhrase {
  readonly weight: number
  readonly stages: readonly { readonly until: number; readonly chunks: readonly SpokenChunk[] }[]
}

/** A request's texts as they are meant over the steps. Chunks are embedded each by itself; all else of a request is as in `Asked`. */
export interface Spoken {
  readonly positive: readonly SpokenPhrase[]
  readonly negative: SpokenPhrase
  /** Numbers of the empty text. */
  readonly empty: Numbers
  readonly weigh: PromptStyle['weigh']
}

/** What a text becomes in the context: so many tokens a chunk, of encoders of these widths beside one another. */
export interface TextShape {
  readonly length: number
  readonly widths: readonly number[]
}

/** A request's condition as numbers: `negative` is what guidance leads away from, if that is no answer to no condition. */
export interface Asked {
  readonly positive: Numbers
  readonly negative?: Numbers | undefined
  /** Tokens of a text that did not fit. */
  readonly leftOut?: number
  /** Its texts, of which `positive` and `negative` hold the beginnings. */
  readonly spoken?: Spoken | undefined
  /** Numbers that are drawn after those that the picture starts from, in place of `positive`'s and `negative`'s. */
  readonly late?: (() => Numbers) | undefined
  /** What is done to the finished picture. */
  readonly finish?: (picture: Image) => Image
}

/** What a request says, by the names of the fields; texts are always there. */
export type Request = Readonly<Record<string, unknown>> & { readonly prompt: string; readonly negativePrompt: string }

/** Turns records and requests into numbers, with all that it needs at hand. */
export interface Reader {
  ofRecord(record: TrainingRecord, place: Place): Numbers | Promise<Numbers>
  /**
   * Throws LatentkitError, saying what is missing or cannot be. `draw` gives the normals of a tool that has a rule of its own
   * for what conditions draw.
   */
  ofRequest(request: Request, place: Place, random: TorchGenerator, draw?: (count: number) => Float32Array): Asked
  /** The numbers that stand for no condition; without them there is no guidance by this one. */
  none?(place: Place): Numbers
}

/** A field of a request. */
export interface RequestField<T = unknown> {
  /** What the library takes. */
  readonly schema: z.ZodType<T>
  /** For help and documents; `placeholder` is what the command line takes. */
  readonly describe: string
  readonly placeholder: string
  /** Whether a model that knows it does without it. */
  readonly optional?: boolean
  /** Reads the flag's text. */
  read(text: string): unknown
  /** What the value is called in a picture's settings, if not by the field's name. */
  readonly label?: string
  /** The value as a line of a picture's settings, where it is short enough, and back. */
  show?(value: unknown): string
  parse?(text: string): unknown
}

/** What training has at hand when it sets a condition up. */
export interface Lesson {
  readonly dataset: Dataset
  /** Positions of the pictures that are trained on. */
  readonly train: readonly number[]
  /** A checkpoint's configuration of this condition and what it stores, where training goes on from one. */
  readonly before?: { readonly config: unknown; readonly stored: Stored } | undefined
}

/** What a condition is set up with. */
export interface Learned<Config> {
  readonly config: Config
  readonly vocabulary?: string
}

/** What embedding may call for. */
export interface Tools {
  /** Latents as the diffusion model has them, of images [batch, 3, height, width] in [-1, 1]; drawn by noise of their shape. */
  encode(images: Tensor, noise?: Tensor): Tensor
  readonly place: Place
}

/** One way to tell a network something: a line of the table. */
export interface Conditioning<Config = unknown, Recipe = Config> {
  /** What it is, with its article, for messages. */
  readonly what: string
  /** The words of a model's configuration. */
  readonly config: z.ZodType<Config>
  /** The words of a training recipe; the same if left out. */
  readonly recipe?: z.ZodType<Recipe>
  /** What of a picture its record looks at beside words and labels: what must be there when pictures are gone by. */
  readonly sees?: readonly Sight[]
  /** The fields of a request that it listens to. */
  readonly request: Readonly<Record<string, RequestField>>
  /** A recipe with its files as they are seen from elsewhere. */
  files?(recipe: Recipe, at: (path: string) => string): Recipe
  /** The size of the picture that a request means, where it means one. */
  size?(config: Config, request: Request): { readonly width: number; readonly height: number } | undefined
  /** Where the originals keep its parameters when it is a model's first, if not at `cond_stage_model`. */
  root?(config: Config): string | undefined
  /** Layers of its network one after the other, where it has many. */
  layers?(config: Config): number
  reach(config: Config, latentChannels: number): Reach
  /** What a text becomes; its tokens are the first of a model's context. */
  text?(config: Config): TextShape
  /** Inputs of a sample, without the axis of the batch. */
  inputs(config: Config, place: Place): Specs
  /** Those of them that are pictures whose latents `embed` calls for, and of which it sees nothing else. */
  readonly encodes?: readonly string[]
  embed(at: Scope, config: Config, inputs: Readonly<Record<string, Tensor>>, tools: Tools): Conditioned
  /** Fills in what the data decide; throws FileError where they cannot be used. */
  learn?(recipe: Recipe, lesson: Lesson): Learned<Config> | Promise<Learned<Config>>
  /** What `learn` would give as far as the recipe alone tells, for plans and for counting parameters. */
  assume?(recipe: Recipe): Config
  reader(config: Config, stored: Stored): Reader
}

/** Inputs of one sample by name, without the axis of the batch. */
export type Specs = Readonly<Record<string, Spec>>
