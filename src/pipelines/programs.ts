import { hasSpread, latentChannels } from '../autoencoder/config.js'
import {
  type ClipSkipRule,
  encodedInputs,
  inputsOf,
  type Place,
  textShapeOf,
  withClipSkip,
} from '../conditioning/index.js'
import type { Size } from '../image/index.js'
import { type Program, trace, withoutUnused } from '../tensor/program.js'
import { f32, type Spec, type Tensor } from '../tensor/tensor.js'
import { deepestReused, withDeep } from '../unet/deep-reuse.js'
import { factorOf, type ModelConfig } from './model-config.js'
import { type NetworkVariant, variantChanges } from './network-variant.js'
import { decodeLatents, embed, modelMoments, predict } from './networks.js'

/** [channels, height, width] of the latents of a picture. */
export function latentShape(config: ModelConfig, { width, height }: Size): readonly [number, number, number] {
  const factor = factorOf(config)
  return [latentChannels(config.first_stage_config), height / factor, width / factor]
}

/** A picture's size and that of its latents, as conditions are told. */
export const placeOf = (config: ModelConfig, size: Size): Place => ({
  width: size.width,
  height: size.height,
  latents: latentShape(config, size),
})

/** Inputs with an axis for the batch, open (-1) or of a number of samples. */
export const batched = (specs: Readonly<Record<string, Spec>>, batch: number): Record<string, Spec> =>
  Object.fromEntries(
    Object.entries(specs).map(([name, { dtype, shape }]) => [name, { dtype, shape: [batch, ...shape] }]),
  )

/** What a model is told by, as far as a generation chooses it. */
export interface Telling extends Size {
  /** Chunks of text in the context, if not one. */
  readonly chunks?: number
  /** Which layer of CLIP the context is of, if not the model's own. */
  readonly clipSkip?: { readonly skip: number; readonly rule: ClipSkipRule } | undefined
  /** What the first stage sees at once, if not all: conditions that it encodes are handed in as it tells of them. */
  readonly tile?: Size | undefined
}

/**
 * What conditions become in the network, for any batch: their inputs (`tokens`, `labels`, ...) -> `context` [batch, tokens,
 * width], `concat` [batch, c, h, w] and `y` [batch], as far as there are any; undefined for a model without conditions.
 */
export function conditionProgram(config: ModelConfig, { clipSkip, tile, ...size }: Telling): Program | undefined {
  const place = placeOf(config, size)
  const conditioning = clipSkip
    ? withClipSkip(config.conditioning ?? {}, clipSkip.skip, clipSkip.rule)
    : config.conditioning
  const moments = tile !== undefined
  const [channels, ...sides] = place.latents
  const told = f32(hasSpread(config.first_stage_config) ? 2 * channels : channels, ...sides)
  const pictures = moments ? encodedInputs(conditioning).map(name => [name, told]) : []
  const specs = batched({ ...inputsOf(conditioning, place), ...Object.fromEntries(pictures) }, -1)
  if (Object.keys(specs).length === 0) return undefined
  return trace(specs, (at, inputs) => ({ ...embed(at, { ...config, conditioning }, inputs, { ...place, moments }) }))
}

/** What a network takes of conditions, for any batch: what `conditionProgram` gives, of as many chunks of text as asked for. */
export function conditionedInputs(config: ModelConfig, telling: Telling): Record<string, Spec> {
  const more = ((telling.chunks ?? 1) - 1) * (textShapeOf(config.conditioning)?.length ?? 0)
  return Object.fromEntries(
    Object.entries(conditionProgram(config, telling)?.outputs ?? {}).map(([name, { dtype, shape }]) => {
      const [batch, tokens, ...rest] = shape
      return [name, { dtype, shape: name === 'context' ? [batch!, tokens! + more, ...rest] : shape }]
    }),
  )
}

/** How a network is told and changed. */
export interface DenoiserVariant extends Telling {
  readonly network?: NetworkVariant | undefined
}

/**
 * Latents `x` [batch, c, h, w], times `t` [batch], `conditionedInputs` and, where the variant has weaknesses, `weak` [batch]
 * -> `prediction` and, where it has outer blocks, the `deep` features that these start from, for any batch; `attended`
 * [batch, h, w], how much the middle's positions are attended to, where that is wanted.
 *
 * @throws LatentkitError where the variant names a block that the network has not.
 */
export function denoisingProgram(config: ModelConfig, variant: DenoiserVariant): Program {
  const { network = {} } = variant
  const program = changedProgram(config, variant, {})
  if (network.outer === undefined) return program
  const deep = program.marks[`model.diffusion_model.${deepestReused(config.unet_config!, network.outer)}`]!
  return { ...program, outputs: { ...program.outputs, deep } }
}

/** The outer blocks of a variant alone, over `deep` features of an earlier call; undefined where it has none. */
export function outerProgram(config: ModelConfig, variant: DenoiserVariant): Program | undefined {
  const { deep } = denoisingProgram(config, variant).outputs
  return deep && withoutUnused(changedProgram(config, variant, { deep: { dtype: deep.dtype, shape: deep.shape } }))
}

function changedProgram(config: ModelConfig, variant: DenoiserVariant, more: Record<string, Spec>): Program {
  const { network = {} } = variant
  const specs: Record<string, Spec> = {
    x: f32(-1, ...latentShape(config, variant)),
    t: f32(-1),
    ...conditionedInputs(config, variant),
    ...(network.weaknesses && { weak: f32(-1) }),
    ...more,
  }
  return trace(specs, (at, inputs) => {
    const { x, t, weak, deep, ...conditioned } = inputs as Record<string, Tensor>
    const { changes, attended, check } = variantChanges(config.unet_config!, network, weak)
    const all = deep ? [...changes, withDeep(config.unet_config!, network.outer!, deep)] : changes
    const prediction = predict(at, config, { x: x!, t: t!, ...conditioned }, all)
    check()
    const seen = deep ? undefined : attended()
    return { prediction, ...(seen && { attended: seen }) }
  })
}

/** Latents `z` [batch, c, h, w] of the diffusion model -> `images` [batch, 3, height, width] in [-1, 1], for any batch. */
export const decodingProgram = (config: ModelConfig, size: Size): Program =>
  trace({ z: f32(-1, ...latentShape(config, size)) }, (at, { z }) => ({ images: decodeLatents(at, config, z) }))

/** Images `images` [batch, 3, height, width] in [-1, 1] -> `z`, what `modelMoments` tells of their latents. */
export const encodingProgram = (config: ModelConfig, { width, height }: Size): Program =>
  trace({ images: f32(-1, 3, height, width) }, (at, { images }) => ({ z: modelMoments(at, config, images) }))
