import { type Command, type Flag, flagsOf, isSwitch } from './flags.js'

const COLUMN = 30

/** Text broken between words so that no line is longer than `width`, each line but the first indented. */
function wrap(text: string, indent: number, width: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && indent + line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`)
}

/** Two columns; a left side that is too long stands on a line of its own. */
function rows(entries: readonly (readonly [string, string])[], width: number): string {
  const longest = Math.max(...entries.map(([left]) => left.length).filter(length => length + 4 <= COLUMN), 8)
  const column = longest + 4
  return entries
    .map(([left, right]) => {
      const gap = left.length + 4 > column ? `\n${' '.repeat(column)}` : ' '.repeat(column - 2 - left.length)
      return `  ${left}${right === '' ? '' : gap + wrap(right, column, width)}`
    })
    .join('\n')
}

function leftOf(flag: Flag): string {
  if (flag.positional) return flag.label
  const short = flag.short === undefined ? '' : `${flag.short}, `
  if (!isSwitch(flag)) return `${short}${flag.label} ${flag.placeholder}`
  return flag.shape.default === true ? flag.label.replace('--', '--no-') : short + flag.label
}

function rightOf(flag: Flag): string {
  const { default: fallback, description } = flag.shape
  const choices = flag.values.flatMap(shape => shape.enum ?? [])
  const notes: string[] = []
  if (choices.length > 0 && flag.placeholder === 'NAME') notes.push(`one of ${choices.join(', ')}`)
  if (flag.required && !flag.positional) notes.push('required')
  if (flag.repeatable && !flag.positional) notes.push('may be repeated')
  const shown = Array.isArray(fallback) ? fallback.join(', ') : typeof fallback === 'boolean' ? '' : (fallback ?? '')
  if (shown !== '') notes.push(`default ${shown}`)
  return [description ?? '', notes.length > 0 ? `(${notes.join('; ')})` : ''].filter(part => part !== '').join(' ')
}

function usageOf(command: Command, flags: Flag[]): string {
  const places = flags
    .filter(flag => flag.positional)
    .map(({ label, repeatable, required }) => {
      const name = repeatable ? `${label}...` : label
      return required ? name : `[${name}]`
    })
  const needed = flags
    .filter(flag => flag.required && !flag.positional)
    .map(flag => `${flag.label} ${flag.placeholder}`)
  return ['latentkit', command.name, ...places, ...needed, '[options]'].join(' ')
}

/** The help of one command: summary, usage, arguments, options with their defaults, examples. */
export function commandHelp(command: Command, width = 80): string {
  const flags = flagsOf(command.options)
  const places = flags.filter(flag => flag.positional)
  const table = (list: Flag[], more: (readonly [string, string])[] = []) =>
    rows([...list.map(flag => [leftOf(flag), rightOf(flag)] as const), ...more], width)
  const parts = [command.summary, `Usage: ${usageOf(command, flags)}`]
  if (command.details !== undefined) parts.push(wrap(command.details, 0, width))
  if (places.length > 0) parts.push(`Arguments:\n${table(places)}`)
  const named = flags.filter(flag => !flag.positional)
  parts.push(`Options:\n${table(named, [['-h, --help', 'show this']])}`)
  const examples = command.examples?.map(({ line, what }) => `  ${line}\n      ${wrap(what, 6, width)}`)
  if (examples !== undefined) parts.push(`Examples:\n${examples.join('\n')}`)
  return `${parts.join('\n\n')}\n`
}

/** The help of the whole program: each command and what it does. */
export function programHelp(summary: string, commands: readonly Command[], width = 80): string {
  const table = rows(
    commands.map(({ name, summary }) => [name, summary] as const),
    width,
  )
  const more = 'latentkit COMMAND --help tells more of each.'
  return `${[summary, 'Usage: latentkit COMMAND ...', `Commands:\n${table}`, more].join('\n\n')}\n`
}
