import type { Scope } from '../tensor/program.js'
import { concat } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { type ConditioningConfig, type Present, present } from './config.js'
import type { Conditioned, Place, Reach, Specs, TextShape, Tools } from './contract.js'
import type { ConditioningName } from './table.js'

const rootOf = ([first]: readonly Present[]): string => first?.conditioning.root?.(first.config) ?? 'cond_stage_model'

/** Where a model's i-th conditioning has its parameters: the first where the originals have their only one, others below. */
const parameterPath = (all: readonly Present[], i: number): string =>
  i === 0 ? rootOf(all) : `${rootOf(all)}.${all[i]!.name}`

/** Where all conditionings of a model have their parameters. */
export const conditionsRoot = (config: ConditioningConfig | undefined): string => rootOf(present(config))

/** What the UNet of a model must be made for, and why it cannot be where that is so. */
export function reachOf(
  config: ConditioningConfig | undefined,
  latentChannels: number,
): Reach & { readonly concat: number; readonly conflict?: string } {
  const all = present(config).map(({ name, conditioning, config }) => ({
    name,
    ...conditioning.reach(config, latentChannels),
  }))
  const contexts = all.filter(({ context }) => context !== undefined)
  const widths = new Set(contexts.map(({ context }) => context))
  const ys = all.filter(({ y }) => y !== undefined)
  const vectors = all.filter(({ vector }) => vector !== undefined)
  const told = (key: 'context' | 'y' | 'vector', given: typeof all) =>
    given.map(each => `${each.name} ${each[key]}`).join(', ')
  return {
    concat: all.reduce((sum, { concat = 0 }) => sum + concat, 0),
    ...(contexts[0] && { context: contexts[0].context! }),
    ...(ys[0] && { y: ys[0].y! }),
    ...(vectors.length > 0 && { vector: vectors.reduce((sum, { vector }) => sum + vector!, 0) }),
    ...(widths.size > 1 && { conflict: `tokens are of several widths: ${told('context', contexts)}` }),
    ...(ys.length > 1 && { conflict: `only one condition can be told with the time: found ${told('y', ys)}` }),
    ...(ys.length > 0 &&
      vectors.length > 0 && {
        conflict: `y is either a label or a vector: found ${told('y', ys)} and ${told('vector', vectors)}`,
      }),
  }
}

/** The most layers that a conditioning has one after the other. */
export const deepestCondition = (config: ConditioningConfig | undefined): number =>
  Math.max(0, ...present(config).map(({ conditioning, config }) => conditioning.layers?.(config) ?? 0))

/** What a text becomes in a model's context, and whether it is all of that; undefined where it takes none. */
export function textShapeOf(config: ConditioningConfig | undefined): (TextShape & { alone: boolean }) | undefined {
  const all = present(config)
  const [shape] = all.flatMap(({ conditioning, config }) => conditioning.text?.(config) ?? [])
  const contexts = all.filter(({ conditioning, config }) => conditioning.reach(config, 0).context !== undefined)
  return shape && { ...shape, alone: contexts.length === 1 }
}

/** Inputs of all conditions of a model for one sample. */
export const inputsOf = (config: ConditioningConfig | undefined, place: Place): Specs =>
  Object.assign({}, ...present(config).map(({ conditioning, config }) => conditioning.inputs(config, place)))

/** Those of them that are pictures whose latents are all that is seen of them. */
export const encodedInputs = (config: ConditioningConfig | undefined): readonly string[] =>
  present(config).flatMap(({ conditioning }) => conditioning.encodes ?? [])

/** Everything that conditions a network, from the inputs of `inputsOf` with an axis for the batch; `root` is the model's. */
export function embedConditions(
  root: Scope,
  config: ConditioningConfig | undefined,
  inputs: Readonly<Record<string, Tensor>>,
  tools: Tools,
): Conditioned {
  const parts = present(config)
  const all = parts.map(({ conditioning, config }, i) =>
    conditioning.embed(root(parameterPath(parts, i)), config, inputs, tools),
  )
  const contexts = all.flatMap(({ context }) => context ?? [])
  const planes = all.flatMap(({ concat }) => concat ?? [])
  const ys = all.flatMap(({ y }) => y ?? [])
  const joined = (parts: Tensor[]) => (parts.length > 1 ? concat(parts, { axis: 1 }) : parts[0]!)
  return {
    ...(contexts.length > 0 && { context: joined(contexts) }),
    ...(planes.length > 0 && { concat: joined(planes) }),
    ...(ys.length > 0 && { y: joined(ys) }),
    // All else comes from one of them alone.
    ...Object.assign({}, ...all.map(({ context, concat, y, ...others }) => others)),
  }
}

/** Where the parameters of a conditioning's embedder are, as `embedConditions` puts them; undefined for one that is not there. */
export function embedderScope(config: ConditioningConfig | undefined, name: ConditioningName) {
  const parts = present(config)
  const index = parts.findIndex(part => part.name === name)
  if (index < 0) return undefined
  const path = parameterPath(parts, index)
  const others = parts.slice(1).map((_, i) => `${parameterPath(parts, i + 1)}.`)
  const holds = (parameter: string) =>
    parameter.startsWith(`${path}.`) && (index > 0 || !others.some(other => parameter.startsWith(other)))
  return { path, holds }
}
