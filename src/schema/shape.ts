import { z } from 'zod'

/** What of JSON Schema is read here; zod writes it, with everything from `.meta()` beside it. */
export interface Shape {
  $ref?: string
  $defs?: Record<string, Shape>
  type?: string | string[]
  const?: unknown
  enum?: unknown[]
  anyOf?: Shape[]
  oneOf?: Shape[]
  allOf?: Shape[]
  properties?: Record<string, Shape>
  additionalProperties?: Shape | boolean
  required?: string[]
  items?: Shape | boolean
  prefixItems?: Shape[]
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  minItems?: number
  maxItems?: number
  minLength?: number
  maxLength?: number
  default?: unknown
  description?: string
  [meta: string]: unknown
}

export type Path = readonly PropertyKey[]

const shapes = new WeakMap<z.core.$ZodType, Shape>()

/** The plain description of what a schema takes in, derived once. */
export function shapeOf(schema: z.core.$ZodType): Shape {
  let shape = shapes.get(schema)
  if (shape === undefined) {
    shape = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape
    shapes.set(schema, shape)
  }
  return shape
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value under a path, or undefined. */
export function valueAt(value: unknown, path: Path): unknown {
  let at = value
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<PropertyKey, unknown>)[key]
  }
  return at
}

/** A shape's own alternatives, references followed, without those that a mapping's `kind`-like constants rule out. */
function alternatives(root: Shape, shape: Shape, value: unknown): Shape[] {
  const name = shape.$ref?.match(/^#\/\$defs\/(.+)$/)?.[1]
  const target = shape.$ref === '#' ? root : name === undefined ? undefined : root.$defs?.[name]
  if (target !== undefined) return alternatives(root, target, value)
  const options = shape.anyOf ?? shape.oneOf ?? shape.allOf
  if (options === undefined) return [shape]
  const open = options.flatMap(option => alternatives(root, option, value))
  const agreeing = open.filter(option =>
    Object.entries(option.properties ?? {}).every(
      ([key, { const: constant }]) => constant === undefined || (isMapping(value) && value[key] === constant),
    ),
  )
  return agreeing.length > 0 ? agreeing : open
}

/** The shapes that may stand under a path of `value`. */
export function shapesAt(root: Shape, value: unknown, path: Path): Shape[] {
  let here = alternatives(root, root, value)
  for (const [index, key] of path.entries()) {
    const inner = valueAt(value, path.slice(0, index + 1))
    here = here.flatMap(shape => {
      const child =
        typeof key === 'number'
          ? (shape.prefixItems?.[key] ?? shape.items)
          : (shape.properties?.[String(key)] ?? shape.additionalProperties)
      return typeof child === 'object' ? alternatives(root, child, inner) : []
    })
  }
  return here
}

/** The keys that a mapping under a path may have. */
export function keysAt(root: Shape, value: unknown, path: Path): string[] {
  return [...new Set(shapesAt(root, value, path).flatMap(shape => Object.keys(shape.properties ?? {})))]
}

const quoted = (values: unknown[]) => values.map(value => JSON.stringify(value)).join(', ')

function bounds(least: number | undefined, most: number | undefined): string {
  // zod bounds every integer by what a double holds exactly: no news to a person.
  const low = least === undefined || least <= Number.MIN_SAFE_INTEGER ? undefined : least
  const high = most === undefined || most >= Number.MAX_SAFE_INTEGER ? undefined : most
  if (low !== undefined && high !== undefined) return low === high ? ` of ${low}` : ` from ${low} to ${high}`
  if (low !== undefined) return ` of at least ${low}`
  return high === undefined ? '' : ` of at most ${high}`
}

function numeric(noun: string, shape: Shape): string {
  const above = shape.exclusiveMinimum === undefined ? '' : ` above ${shape.exclusiveMinimum}`
  const below = shape.exclusiveMaximum === undefined ? '' : ` below ${shape.exclusiveMaximum}`
  return `${noun}${bounds(shape.minimum, shape.maximum)}${above}${below}`
}

/** What a shape wants, in words: `a whole number from 1 to 1000`, `one of "a", "b"`. */
export function wanted(root: Shape, shape: Shape): string {
  const options = alternatives(root, shape, undefined)
  if (options.length > 1 || options[0] !== shape)
    return [...new Set(options.map(option => wanted(root, option)))].join(' or ')
  if (shape.const !== undefined) return JSON.stringify(shape.const)
  if (shape.enum !== undefined) return `one of ${quoted(shape.enum)}`
  if (Array.isArray(shape.type)) return shape.type.map(type => wanted(root, { ...shape, type })).join(' or ')
  switch (shape.type) {
    case 'integer':
      return numeric('a whole number', shape)
    case 'number':
      return numeric('a number', shape)
    case 'boolean':
      return 'true or false'
    case 'string': {
      const length = bounds(shape.minLength, shape.maxLength)
      return length === '' ? 'text' : `text${length} characters`
    }
    case 'array': {
      const inner = shape.prefixItems ?? (typeof shape.items === 'object' ? [shape.items] : [])
      const each = inner.length === 0 ? '' : `: ${[...new Set(inner.map(item => wanted(root, item)))].join(', ')}`
      return `a list${bounds(shape.minItems, shape.maxItems)}${each}`
    }
    case 'object':
      return shape.properties === undefined ? 'a mapping' : `a mapping with ${Object.keys(shape.properties).join(', ')}`
    case 'null':
      return 'null'
    default:
      return 'another value'
  }
}

/** What stands there, in words and never long. */
export function found(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value)
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (isMapping(value)) return 'a mapping'
  return String(value)
}
