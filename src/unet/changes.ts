import type { Tensor } from '../tensor/tensor.js'

/** Which way a block of a UNet lies: down, between, or up. */
export type Part = 'input' | 'middle' | 'output'

/** Where in a UNet something stands. */
export interface UnetPlace {
  readonly part: Part
  /** Which of the part's blocks, as checkpoints number them: `input_blocks.4` is 4 of the input. */
  readonly block: number
  /** How often the latents were halved before. */
  readonly level: number
}

/** Where attention stands. */
export interface AttentionPlace extends UnetPlace {
  /** Names its parameters: `input_blocks.4.1.transformer_blocks.0`. */
  readonly path: string
  /** Height and width of the map whose positions are the tokens. */
  readonly size: readonly [number, number]
}

/** Queries, keys and values [batch, heads, tokens, size] -> [batch, heads, queries, size]. */
export type Attend = (q: Tensor, k: Tensor, v: Tensor) => Tensor
/** A map or tokens to as many of the same. */
export type Layer = (x: Tensor) => Tensor
/** What a block of the way up is made from: what the one before gives, and what the way down kept. */
export type Join = (h: Tensor, skip: Tensor) => readonly [h: Tensor, skip: Tensor]

/**
 * A change of a UNet as it is traced: around each function that it names, at the places where it wants to be, it puts
 * another. undefined leaves a place as it is. The network's configuration and weights know nothing of it.
 */
export interface UnetChange {
  /** What the output [batch, c, h, w] of an input block becomes before it goes on and is kept. */
  readonly input?: (plain: Layer, place: UnetPlace) => Layer | undefined
  /** What the output of the middle becomes. */
  readonly middle?: (plain: Layer, place: UnetPlace) => Layer | undefined
  readonly join?: (plain: Join, place: UnetPlace) => Join | undefined
  /** A block of a transformer, of tokens [batch, h * w, c], or an attention block, of a map [batch, c, h, w]. */
  readonly layer?: (plain: Layer, place: AttentionPlace) => Layer | undefined
  /** A transformer's attention of normalised tokens [batch, h * w, c] to themselves, with its projections. */
  readonly selfAttention?: (plain: Layer, place: AttentionPlace) => Layer | undefined
  /** Attention of positions to themselves, between its projections. */
  readonly attendSelf?: (plain: Attend, place: AttentionPlace) => Attend | undefined
  /** Attention to the context, between its projections. */
  readonly attendContext?: (plain: Attend, place: AttentionPlace) => Attend | undefined
}

type Kind = keyof UnetChange
type Changing<K extends Kind> = NonNullable<UnetChange[K]>
type Changed<K extends Kind> = Parameters<Changing<K>>[0]

/** A function of the network with all changes of its place around it, the first innermost. */
export const changed = <K extends Kind>(
  changes: readonly UnetChange[],
  kind: K,
  place: Parameters<Changing<K>>[1],
  plain: Changed<K>,
): Changed<K> =>
  changes.reduce((inner, change) => {
    const around = change[kind] as ((plain: Changed<K>, place: UnetPlace) => Changed<K> | undefined) | undefined
    return around?.(inner, place) ?? inner
  }, plain)
