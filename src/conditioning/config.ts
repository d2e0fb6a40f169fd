import { z } from 'zod'
import type { Conditioning, RequestField } from './contract.js'
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

/** A conditioning of a model, with its words. */
export interface Present {
  readonly name: ConditioningName
  readonly conditioning: Conditioning
  readonly config: unknown
}

/** The conditionings of a model, in the order of the table. */
export const present = (config: ConditioningConfig | ConditioningRecipe | undefined): Present[] =>
  table.flatMap(([name, conditioning]) =>
    config?.[name] === undefined ? [] : [{ name, conditioning, config: config[name] }],
  )
