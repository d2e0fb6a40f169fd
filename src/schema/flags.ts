import type { z } from 'zod'
import { suggest } from './nearest.js'
import { type Shape, shapeOf } from './shape.js'
import { check, type Problem, SchemaError } from './validate.js'

/**
 * A command as data: its flags, their types, defaults and help all come from one zod object.
 * Keys in camelCase become flags in kebab-case; arrays are repeatable; `.describe()` is the help text;
 * `.meta({ positional: true })` takes an argument by its place (an array: all that are left),
 * `.meta({ short: 'o' })` adds `-o`, `.meta({ placeholder: 'FILE' })` names the value in the help.
 */
export interface Command<S extends z.ZodObject = z.ZodObject> {
  name: string
  summary: string
  options: S
  /** What the flags alone do not say, shown under the usage. */
  details?: string
  /** The flag of a file that may be left out, and which an argument too many is most likely meant for. */
  forgotten?: string
  examples?: readonly { line: string; what: string }[]
}

/** One flag or positional argument, read off its schema. */
export interface Flag {
  key: string
  /** `--guidance-scale`, or `PROMPT` for an argument that goes by its place. */
  label: string
  short: string | undefined
  positional: boolean
  repeatable: boolean
  required: boolean
  /** The shapes that one value may have. */
  values: Shape[]
  placeholder: string
  shape: Shape
}

/** Arguments that do not fit a command. */
export class UsageError extends SchemaError {
  override name = 'UsageError'
}

const kebab = (key: string) => key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
const fileName = /\.[a-z]\w{1,4}$/i
const takes = (flag: Flag, type: string) => flag.values.some(shape => shape.type === type)
/** A flag that takes no value. */
export const isSwitch = (flag: Flag) => flag.values.every(shape => shape.type === 'boolean')

function placeholderOf(values: Shape[]): string {
  const names = values.map(shape =>
    shape.enum !== undefined
      ? shape.enum.join('|')
      : shape.const !== undefined
        ? String(shape.const)
        : shape.type === 'number' || shape.type === 'integer'
          ? 'N'
          : 'TEXT',
  )
  const text = names.join('|')
  return text.length > 32 ? 'NAME' : text
}

/** The flags of a command's schema, in the order in which it names them. */
export function flagsOf(options: z.ZodObject): Flag[] {
  const root = shapeOf(options)
  return Object.entries(root.properties ?? {}).map(([key, shape]) => {
    const repeatable = shape.type === 'array'
    const one = repeatable ? (typeof shape.items === 'object' ? shape.items : {}) : shape
    const values = one.anyOf ?? one.oneOf ?? [one]
    if (values.some(({ type }) => type === 'object' || type === 'array'))
      throw new TypeError(`Cannot make a flag of "${key}": a flag takes text, numbers, a choice or a list of these`)
    const positional = shape.positional === true
    const placeholder = (shape.placeholder as string | undefined) ?? placeholderOf(values)
    return {
      key,
      label: positional ? kebab(key).toUpperCase() : `--${kebab(key)}`,
      short: shape.short === undefined ? undefined : `-${shape.short}`,
      positional,
      repeatable,
      required: root.required?.includes(key) ?? false,
      values,
      placeholder,
      shape,
    }
  })
}

/** Text from the command line as the number or truth value that the flag takes; else as it is, for the schema to judge. */
function converted(flag: Flag, text: string): unknown {
  if (takes(flag, 'boolean') && (text === 'true' || text === 'false')) return text === 'true'
  if ((takes(flag, 'number') || takes(flag, 'integer')) && text.trim() !== '' && Number.isFinite(Number(text)))
    return Number(text)
  return text
}

/** Splits `--name=value`; a token such as `-5` is a value, not a flag. */
function asFlag(token: string): { name: string; value: string | undefined } | undefined {
  if (!/^-[^\d.]/.test(token) || token === '--') return undefined
  const cut = token.indexOf('=')
  return cut < 0 ? { name: token, value: undefined } : { name: token.slice(0, cut), value: token.slice(cut + 1) }
}

/** Whether `--help` or `-h` is among the arguments. */
export function wantsHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return (end < 0 ? argv : argv.slice(0, end)).some(token => token === '--help' || token === '-h')
}

/**
 * The arguments of a command, typed and with defaults.
 * @param argv what follows the command's name
 * @throws UsageError with all problems: unknown flags with the nearest known one, missing and wrong values
 * @example parseFlags({ name: 'x', summary: '', options: z.strictObject({ dryRun: z.boolean().default(false) }) }, ['--dry-run'])
 */
export function parseFlags<S extends z.ZodObject>(command: Command<S>, argv: readonly string[]): z.output<S> {
  const flags = flagsOf(command.options)
  const places = flags.filter(flag => flag.positional)
  const named = new Map<string, { flag: Flag; off: boolean }>()
  for (const flag of flags.filter(flag => !flag.positional)) {
    named.set(flag.label, { flag, off: false })
    if (flag.short !== undefined) named.set(flag.short, { flag, off: false })
    if (isSwitch(flag)) named.set(flag.label.replace('--', '--no-'), { flag, off: true })
  }

  const values: Record<string, unknown> = {}
  const problems: Problem[] = []
  const extra: string[] = []
  const set = (flag: Flag, value: unknown) => {
    if (flag.repeatable) values[flag.key] = [...((values[flag.key] as unknown[] | undefined) ?? []), value]
    else values[flag.key] = value
  }
  const place = (token: string) => {
    const flag = places.find(({ key, repeatable }) => repeatable || !(key in values))
    if (flag !== undefined) set(flag, converted(flag, token))
    else extra.push(token)
  }

  for (let i = 0; i < argv.length; i++) {
    const token = argv[i]!
    if (token === '--') {
      argv.slice(i + 1).forEach(place)
      break
    }
    const split = asFlag(token)
    if (split === undefined) {
      place(token)
      continue
    }
    const next = argv[i + 1]
    const hasNext = next !== undefined && asFlag(next) === undefined && next !== '--'
    const known = named.get(split.name)
    if (known === undefined) {
      const hint = suggest(split.name, named.keys())
      problems.push({ path: split.name, message: `unknown option; ${hint}` })
      // Its value must not be taken for an argument, where the flag that was meant takes one.
      const meant = named.get(hint.match(/^did you mean "(.*)"/)?.[1] ?? '')?.flag
      if (meant !== undefined && !isSwitch(meant) && split.value === undefined && hasNext) i++
    } else if (isSwitch(known.flag)) {
      set(known.flag, known.off ? false : split.value === undefined ? true : converted(known.flag, split.value))
    } else if (split.value !== undefined) set(known.flag, converted(known.flag, split.value))
    else if (hasNext) {
      set(known.flag, converted(known.flag, next))
      i++
    } else
      problems.push({
        path: split.name,
        message: `wants ${known.flag.placeholder} after it, found ${next ?? 'nothing'}`,
      })
  }

  // Who forgets the flag of a file that must be given writes it as an argument, or as another one.
  const misplaced = places.map(({ key }) => values[key]).find(value => fileName.test(String(value)))
  const missing = flags.find(({ key, required, positional }) => required && !positional && !(key in values))
  const optional = flags.find(({ key }) => key === command.forgotten && !(key in values))
  const hint = (token: string) => {
    const meant = missing ?? (fileName.test(token) ? optional : undefined)
    return meant && misplaced === undefined ? `did you mean "${meant.label} ${token}"?` : 'quote text that has spaces'
  }
  problems.unshift(...extra.map(token => ({ path: token, message: `one argument too many; ${hint(token)}` })))

  const result = check(command.options, values)
  if ('data' in result && problems.length === 0) return result.data
  const byKey = new Map(flags.map(flag => [flag.key, flag]))
  const reported = new Set(problems.map(({ path }) => path))
  const wrong = 'data' in result ? [] : result.problems
  for (const { at, message } of wrong) {
    const flag = byKey.get(String(at[0]))
    const path = flag?.label ?? String(at[0])
    if (reported.has(path)) continue
    const absent = flag !== undefined && !flag.positional && !(flag.key in values)
    const meant =
      misplaced === undefined ? `wanted ${path} ${flag?.placeholder}` : `did you mean "${path} ${misplaced}"?`
    problems.push({ path, message: absent ? `missing; ${meant}` : message })
  }
  throw new UsageError(`latentkit ${command.name}`.trim(), problems)
}
