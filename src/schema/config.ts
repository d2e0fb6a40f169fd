import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import type { z } from 'zod'
import type { Path } from './shape.js'
import { check, type Problem, SchemaError } from './validate.js'

/** A config is written by hand: a larger file is not one. */
const LARGEST = 256 * 1024
/** Nodes that aliases may unfold into; a dozen lines of aliases of aliases would otherwise make billions. */
const MOST_ALIASES = 100

/**
 * A config from YAML text, checked by its schema. Use `z.strictObject` throughout: it is what refuses unknown keys.
 * @param file named in errors, with the line of each problem
 * @throws SchemaError with all problems at once
 * @example parseConfig('steps: 30', z.strictObject({ steps: z.int() }), 'train.yaml') // { steps: 30 }
 */
export function parseConfig<S extends z.ZodType>(text: string, schema: S, file: string): z.output<S> {
  if (text.length > LARGEST)
    throw refused(file, `found ${text.length} characters, wanted a config of at most ${LARGEST}`)
  const lines = new LineCounter()
  const { contents, value } = read(text, lines, file)
  const result = check(schema, value ?? {})
  if ('data' in result) return result.data
  const problems: Problem[] = result.problems.map(({ path, message, at }) => {
    const offset = contents === null ? undefined : offsetOf(contents, at)
    return offset === undefined ? { path, message } : { path, message, line: lines.linePos(offset).line }
  })
  throw new SchemaError(
    file,
    problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)),
  )
}

const refused = (file: string, message: string, line?: number) =>
  new SchemaError(file, [line === undefined ? { path: '', message } : { path: '', message, line }])

function read(text: string, lines: LineCounter, file: string): { contents: Node | null; value: unknown } {
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
    const [error] = document.errors
    if (error !== undefined) throw refused(file, unreadable(error), lines.linePos(error.pos[0]).line)
    return { contents: document.contents, value: document.toJS({ maxAliasCount: MOST_ALIASES }) }
  } catch (error) {
    if (error instanceof SchemaError) throw error
    throw refused(file, unreadable(error as Error))
  }
}

/** The parser is recursive: what is nested deeper than the stack comes back as the stack's own complaint. */
const unreadable = ({ message }: Error) =>
  `not readable as YAML: ${/call stack/.test(message) ? 'it is nested too deeply' : message}`

/** Where the key (or list entry) under a path begins; for what is missing, where its parent does. */
function offsetOf(contents: Node, path: Path): number | undefined {
  let node: unknown = contents
  let offset = contents.range?.[0]
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key: k }) => (isScalar(k) ? String(k.value) : undefined) === String(key))
      if (pair === undefined) return offset
      offset = (pair.key as Node).range?.[0] ?? offset
      node = pair.value
    } else {
      const items = (node as { items?: unknown[] } | null)?.items
      const item = typeof key === 'number' ? (items?.[key] as Node | undefined) : undefined
      if (item === undefined) return offset
      offset = item.range?.[0] ?? offset
      node = item
    }
  }
  return offset
}
