import { LatentkitError } from '../platform/errors.js'
import { equal } from '../tensor/binary.js'
import type { Tensor } from '../tensor/tensor.js'
import { watchAttention } from '../unet/attended.js'
import type { UnetChange } from '../unet/changes.js'
import type { UnetConfig } from '../unet/config.js'
import { mostOuterBlocks } from '../unet/deep-reuse.js'
import { type FreeUSettings, freeU } from '../unet/free-u.js'
import { tokenMerging } from '../unet/token-merging.js'
import { blindAttention, blockName, skippedLayers } from '../unet/weaken.js'
import type { Plan } from './settings/plan.js'

/** A weaker copy of a network, which guidance leads away from. */
export interface Weakness {
  readonly by: 'blind attention' | 'skipped layers'
  /** Blocks by their names in checkpoints. */
  readonly blocks: readonly string[]
}

/** How a plan's UNet differs from its model's own. */
export interface NetworkVariant {
  readonly freeU?: FreeUSettings | undefined
  /** Share of the tokens. */
  readonly tokenMerging?: number | undefined
  /** Those rows of a batch whose input `weak` is the place of one of these, counted from 1, are weakened so. */
  readonly weaknesses?: readonly Weakness[] | undefined
  /** Whether it tells what its middle attends to. */
  readonly attended?: boolean | undefined
  /** How many outer blocks can be computed alone, over the `deep` features of an earlier call. */
  readonly outer?: number | undefined
}

/** The variant of the UNet that a plan asks for; nothing where it is as it stands. */
export function networkVariantOf(plan: Plan, config: UnetConfig): NetworkVariant {
  const { freeu, freeuB1, freeuB2, freeuS1, freeuS2, deepCache, deepCacheOuter } = plan
  // How far they lead is no matter of the network, which is compiled once for all scales.
  const weaknesses = weaknessesOf(plan).map(({ by, blocks }) => ({ by, blocks }))
  if (deepCache > 1 && deepCacheOuter > mostOuterBlocks(config)) {
    throw new LatentkitError(
      `generate: deepCacheOuter is ${deepCacheOuter}; of this model's blocks at most ${mostOuterBlocks(config)} can be computed without the rest`,
    )
  }
  return {
    ...(freeu && { freeU: { version: freeu === '1' ? 1 : 2, backbone: [freeuB1, freeuB2], skip: [freeuS1, freeuS2] } }),
    ...(plan.tokenMerging > 0 && { tokenMerging: plan.tokenMerging }),
    ...(weaknesses.length > 0 && { weaknesses }),
    ...(plan.sag > 0 && { attended: true }),
    ...(deepCache > 1 && { outer: deepCacheOuter }),
  }
}

/** The weaker copies that a plan leads away from. */
export function weaknessesOf({ pag, pagBlocks, skipLayers, skippedBlocks }: Plan): (Weakness & { scale: number })[] {
  return [
    { by: 'blind attention', blocks: pagBlocks, scale: pag } as const,
    { by: 'skipped layers', blocks: skippedBlocks, scale: skipLayers } as const,
  ].filter(({ scale }) => scale > 0)
}

/** What a variant changes, and a check to be made when the network has been traced with it. */
export interface VariantChanges {
  readonly changes: readonly UnetChange[]
  /** How much the middle's positions are attended to, once the network is traced: [batch, h, w], where that is wanted. */
  attended(): Tensor | undefined
  /** @throws LatentkitError for a block that has no attention or is not there. */
  check(): void
}

/** The changes of a UNet that a variant asks for; `weak` [batch] says which of the weaknesses each row has, 0 none. */
export function variantChanges(config: UnetConfig, variant: NetworkVariant, weak: Tensor | undefined): VariantChanges {
  const { freeU: balance, tokenMerging: share, weaknesses = [] } = variant
  const level = Math.log2(Math.min(...config.attention_resolutions))
  const attending = new Set<string>()
  const watching = variant.attended ? watchAttention() : undefined
  const noting: UnetChange = {
    layer: (_, place) => {
      attending.add(blockName(place))
      return undefined
    },
  }
  const weakened = weaknesses.map(({ by, blocks }, i) => {
    const weaken = by === 'blind attention' ? blindAttention : skippedLayers
    return weaken(equal(weak!, i + 1), place => blocks.includes(blockName(place)))
  })
  return {
    changes: [
      noting,
      // Nearest to the attention itself: what others put around it does not count.
      ...(watching ? [watching.change] : []),
      ...(balance ? [freeU(config.model_channels, balance)] : []),
      ...(share ? [tokenMerging(share, { level })] : []),
      ...weakened,
    ],
    attended: () => watching?.seen(),
    check() {
      if (watching && !watching.seen())
        throw new LatentkitError(
          'generate: sag goes by the attention in the middle of the network, and this model has none there; leave it out',
        )
      const unknown = weaknesses.flatMap(({ blocks }) => blocks).find(block => !attending.has(block))
      if (unknown === undefined) return
      throw new LatentkitError(
        `generate: ${JSON.stringify(unknown)} is no block with attention; this model has them in ${[...attending].join(', ')}`,
      )
    },
  }
}
