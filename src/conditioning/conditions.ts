import { z } from 'zod'
import { FileError, LatentkitError } from '../platform/errors.js'
import type { TorchGenerator } from '../random/index.js'
import { type HostTensors, hostIntegers, hostTensor } from '../runtime/host-tensor.js'
import type { Scope } from '../tensor/program.js'
import { sizeOf } from '../tensor/shape.js'
import { concat } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import type {
  Asked,
  Conditioned,
  Conditioning,
  Lesson,
  Numbers,
  Place,
  Reach,
  Reader,
  Request,
  RequestField,
  Sight,
  Specs,
  Stored,
  TextShape,
  Tools,
  TrainingRecord,
} from './contract.js'
import { type ConditioningName, conditionings } from './table.js'

const table = Object.entries(conditionings) as unknown as (readonly [ConditioningName, Conditioning])[]

type Table = typeof conditionings
type Recipe<C> = C extends { recipe: infer R extends z.ZodType }
  ? R
  : C extends { config: infer S extends z.ZodType }
    ? S
    : never

const shapeOf = (schema: (conditioning: Conditioning) => z.ZodType) =>
  Object.fromEntries(table.map(([name, conditioning]) => [name, schema(conditioning).optional()]))

/** What a model is conditioned on: the words of each conditioning under its name. */
export const conditioningConfig = z.strictObject(
  shapeOf(({ config }) => config) as { [Name in ConditioningName]: z.ZodOptional<Table[Name]['config']> },
)
/** The same in a training recipe, where what the data decide is left out. */
export const conditioningRecipe = z.strictObject(
  shapeOf(({ config, recipe }) => recipe ?? config) as {
    [Name in ConditioningName]: z.ZodOptional<Recipe<Table[Name]>>
  },
)
/** What a model is conditioned on, checked: the words of each conditioning under its name. */
export type ConditioningConfig = z.output<typeof conditioningConfig>
/** The same of a training recipe. */
export type ConditioningRecipe = z.output<typeof conditioningRecipe>

type Together<Union> = (Union extends unknown ? (each: Union) => void : never) extends (all: infer All) => void
  ? All
  : never
type Fields = Together<Table[ConditioningName]['request']>
type Schemas = { [Name in keyof Fields]: Fields[Name] extends { schema: infer S extends z.ZodType } ? S : never }

/** The fields of requests that conditionings listen to, by name; some share one. */
export const requestFields: Readonly<Record<keyof Fields, RequestField>> = Object.assign(
  {},
  ...table.map(([, { request }]) => request),
)
/** Schemas of the fields, each of which may be left out. */
export const requestShape = Object.fromEntries(
  Object.entries<RequestField>(requestFields).map(([name, { schema, describe }]) => [
    name,
    schema.optional().describe(describe),
  ]),
) as { [Name in keyof Schemas]: z.ZodOptional<Schemas[Name]> }

interface Present {
  readonly name: ConditioningName
  readonly conditioning: Conditioning
  readonly config: unknown
}

/** The conditionings of a model, in the order of the table. */
const present = (config: ConditioningConfig | ConditioningRecipe | undefined): Present[] =>
  table.flatMap(([name, conditioning]) =>
    config?.[name] === undefined ? [] : [{ name, conditioning, config: config[name] }],
  )

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

/** What of pictures the records of a model's conditions look at. */
export const sightsOf = (config: ConditioningConfig | ConditioningRecipe | undefined): Sight[] => [
  ...new Set(present(config).flatMap(({ conditioning }) => conditioning.sees ?? [])),
]

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

/** Fills in what the data decide; throws FileError where they cannot be used. */
export async function learnConditions(
  recipe: ConditioningRecipe,
  {
    before,
    ...lesson
  }: Omit<Lesson, 'before'> & { before?: { config: ConditioningConfig; stored: Stored } | undefined },
): Promise<{ config: ConditioningConfig; vocabulary?: string }> {
  const config: Record<string, unknown> = {}
  let vocabulary: string | undefined
  for (const { name, conditioning, config: given } of present(recipe)) {
    const known =
      before?.config[name] === undefined ? undefined : { config: before.config[name], stored: before.stored }
    const learned = conditioning.learn
      ? await conditioning.learn(given, { ...lesson, before: known })
      : { config: given }
    config[name] = learned.config
    vocabulary ??= learned.vocabulary
  }
  return { config: conditioningConfig.parse(config), ...(vocabulary !== undefined && { vocabulary }) }
}

/** A recipe's conditions with their files as they are seen from elsewhere. */
export const withFiles = (recipe: ConditioningRecipe, at: (path: string) => string): ConditioningRecipe =>
  Object.fromEntries(
    present(recipe).map(({ name, conditioning, config }) => [name, conditioning.files?.(config, at) ?? config]),
  )

/** What `learnConditions` would give as far as a recipe alone tells. */
export const assumedConditions = (recipe: ConditioningRecipe | undefined): ConditioningConfig =>
  conditioningConfig.parse(
    Object.fromEntries(
      present(recipe).map(({ name, conditioning, config }) => [name, conditioning.assume?.(config) ?? config]),
    ),
  )

/** Turns records and requests into the numbers of all conditions of a model. */
export interface ConditionsReader {
  /** Whether any of the conditions can be left out, so that guidance can lead away from that. */
  readonly guides: boolean
  /** Numbers of a picture; `dropped` leaves out what can be. */
  ofRecord(record: TrainingRecord, place: Place, dropped?: boolean): Promise<Numbers>
  /** Numbers of a request and, as `negative`, of what guidance leads away from. */
  ofRequest(request: Request, place: Place, random: TorchGenerator): Required<Pick<Asked, 'negative'>> & Asked
}

/** Opens the readers of a model's conditions; a LatentkitError says what is missing in what is stored. */
export function openReaders(config: ConditioningConfig | undefined, stored: Stored): ConditionsReader {
  const readers: readonly Reader[] = present(config).map(({ conditioning, config }) =>
    conditioning.reader(config, stored),
  )
  return {
    guides: readers.some(reader => reader.none !== undefined),
    async ofRecord(record, place, dropped = false) {
      const parts: Numbers[] = []
      for (const reader of readers)
        parts.push(dropped && reader.none ? reader.none(place) : await reader.ofRecord(record, place))
      return Object.assign({}, ...parts)
    },
    ofRequest(request, place, random) {
      const asked = readers.map(reader => {
        const answer = reader.ofRequest(request, place, random)
        return { negative: reader.none?.(place) ?? answer.positive, ...answer }
      })
      const finishers = asked.flatMap(({ finish }) => finish ?? [])
      return {
        positive: Object.assign({}, ...asked.map(({ positive }) => positive)),
        negative: Object.assign({}, ...asked.map(({ negative, positive }) => negative ?? positive)),
        leftOut: asked.reduce((sum, { leftOut = 0 }) => sum + leftOut, 0),
        spoken: asked.find(({ spoken }) => spoken)?.spoken,
        finish: picture => finishers.reduce((image, finish) => finish(image), picture),
      }
    },
  }
}

/**
 * Holds the fields that a request gives against those that a model listens to.
 *
 * @throws LatentkitError for one that it does not take.
 */
export function checkRequest(config: ConditioningConfig | undefined, request: Request): void {
  const all = present(config)
  const known = new Set(all.flatMap(({ conditioning }) => Object.keys(conditioning.request)))
  const takes =
    all.length === 0 ? 'takes no condition' : `takes ${all.map(({ conditioning }) => conditioning.what).join(' and ')}`
  for (const name of Object.keys(requestFields)) {
    if (request[name] === undefined || known.has(name)) continue
    throw new LatentkitError(`generate: "${name}" is not for this model, which ${takes}; leave it out`)
  }
  if (
    config?.text === undefined &&
    config?.clip_text === undefined &&
    config?.neighbours === undefined &&
    (request.prompt !== '' || request.negativePrompt !== '')
  ) {
    throw new LatentkitError(
      all.length === 0
        ? 'generate: this model was trained without captions and takes no text; leave the prompt out'
        : `generate: this model ${takes} and no text; leave the prompt out`,
    )
  }
}

/** The size of the picture that a request means, where it means one. */
export function sizeOfRequest(config: ConditioningConfig | undefined, request: Request) {
  for (const { conditioning, config: own } of present(config)) {
    const size = conditioning.size?.(own, request)
    if (size) return { width: size.width, height: size.height }
  }
  return undefined
}

/** Puts the numbers of several samples together: [samples, ...] each. */
export function stack(specs: Specs, samples: readonly Numbers[]): HostTensors {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { dtype, shape }]) => {
      const length = sizeOf(shape)
      const all = new Float64Array(samples.length * length)
      for (const [i, numbers] of samples.entries()) {
        const given = numbers[name]
        if (given?.length !== length)
          throw new RangeError(`conditions: "${name}" has ${given?.length ?? 'no'} numbers, wanted ${length}`)
        all.set(given, i * length)
      }
      const full = [samples.length, ...shape]
      return [name, dtype === 'i64' ? hostIntegers(all, full) : hostTensor(Float32Array.from(all), full)]
    }),
  )
}

/** Opens the readers of a file's model; what is missing there becomes a FileError that names it. */
export function readersOf(file: string, config: ConditioningConfig | undefined, stored: Stored): ConditionsReader {
  try {
    return openReaders(config, stored)
  } catch (cause) {
    if (!(cause instanceof LatentkitError) || cause instanceof FileError) throw cause
    throw new FileError(file, cause.message, { cause })
  }
}
