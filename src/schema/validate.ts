import type { z } from 'zod'
import { LatentkitError } from '../platform/errors.js'
import { suggest } from './nearest.js'
import { found, keysAt, type Path, type Shape, shapeOf, shapesAt, valueAt, wanted } from './shape.js'

/** One thing wrong with a value from outside: where (`model.channels[2]`, and its line where known), and what. */
export interface Problem {
  path: string
  line?: number
  message: string
}

/** A value from outside that does not fit its schema: `source` names the file, flags or request, `problems` all that is wrong. */
export class SchemaError extends LatentkitError {
  override name = 'SchemaError'
  readonly source: string
  readonly problems: readonly Problem[]

  constructor(source: string, problems: readonly Problem[]) {
    const lines = problems.map(({ path, line, message }) => {
      const place = line === undefined ? source : `${source}:${line}`
      return path === '' ? `${place}: ${message}` : `${place}: ${path}: ${message}`
    })
    super(lines.join('\n'))
    this.source = source
    this.problems = problems
  }
}

/** A path as a person writes it: `stages[0].model`. */
export function pathText(path: Path): string {
  return path
    .map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? legible(key) : `.${legible(key)}`))
    .join('')
}

/** A key of a damaged file can have any length. */
const legible = (key: PropertyKey): string => {
  const text = String(key)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** A problem with the path it was found at, from which a reader of YAML finds the line. */
export interface PlacedProblem extends Problem {
  at: Path
}

type Issue = z.core.$ZodIssue

/** Of a union's alternatives the one that fits the value furthest: whose complaints lie inside the value, and are fewest. */
function closest(errors: readonly Issue[][]): readonly Issue[] | undefined {
  const inside = errors.filter(issues => issues.every(i => i.path.length > 0 || i.code === 'unrecognized_keys'))
  return inside.sort((a, b) => distance(a) - distance(b))[0]
}

/** A key that an alternative does not know tells more than a value that it would have otherwise. */
const distance = (issues: readonly Issue[]): number =>
  issues.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length + 0.5 : 1), 0)

function fromIssue(root: Shape, value: unknown, issue: Issue, prefix: Path): PlacedProblem[] {
  const at = [...prefix, ...issue.path]
  const problem = (message: string, where: Path = at) => ({ path: pathText(where), message, at: where })
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(root, value, at)
    return issue.keys.map(key => problem(`unknown key; ${suggest(key, known)}`, [...at, key]))
  }
  if (issue.code === 'invalid_union') {
    const nearer = closest(issue.errors)
    if (nearer !== undefined) return nearer.flatMap(inner => fromIssue(root, value, inner, at))
  }
  const here = valueAt(value, at)
  const is = found(here)
  if (issue.code === 'custom' || issue.code === 'invalid_format') return [problem(`found ${is}: ${issue.message}`)]
  const shapes = shapesAt(root, value, at)
  const wants = [...new Set(shapes.map(shape => wanted(root, shape)))].join(' or ')
  const names = shapes.flatMap(shape => shape.enum ?? (shape.const === undefined ? [] : [shape.const]))
  const near = typeof here === 'string' && names.length > 0 ? suggest(here, names.map(String)) : ''
  const hint = near.startsWith('did') ? `; ${near}` : ''
  return [problem(here === undefined ? `missing; wanted ${wants}` : `found ${is}, wanted ${wants}${hint}`)]
}

/** All problems of a value, or its parsed form. */
export function check<S extends z.ZodType>(
  schema: S,
  value: unknown,
): { data: z.output<S> } | { problems: PlacedProblem[] } {
  const result = schema.safeParse(value)
  if (result.success) return { data: result.data }
  const root = shapeOf(schema)
  return { problems: result.error.issues.flatMap(issue => fromIssue(root, value, issue, [])) }
}

/**
 * The value as its schema has it, defaults filled in.
 * @param source what a person would look for: a file's name, "the request"
 * @throws SchemaError naming every problem: what was found, what was wanted, and for unknown keys the nearest known one
 * @example validate(z.strictObject({ steps: z.int().default(20) }), {}, 'config.json') // { steps: 20 }
 */
export function validate<S extends z.ZodType>(schema: S, value: unknown, source: string): z.output<S> {
  const result = check(schema, value)
  if ('data' in result) return result.data
  throw new SchemaError(
    source,
    result.problems.map(({ path, message }) => ({ path, message })),
  )
}
