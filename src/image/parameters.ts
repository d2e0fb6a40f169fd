/**
 * What made a picture, as AUTOMATIC1111's web UI writes it into PNG files (modules/infotext_utils.py there:
 * create_infotext, parse_generation_parameters).
 */
export interface Parameters {
  readonly prompt: string
  readonly negativePrompt?: string
  readonly steps?: number
  readonly sampler?: string
  readonly scheduleType?: string
  readonly cfgScale?: number
  readonly seed?: number
  readonly width?: number
  readonly height?: number
  readonly modelHash?: string
  readonly model?: string
  readonly version?: string
  /** Settings under any other name. */
  readonly extra?: Readonly<Record<string, string>>
}

const negativeMark = 'Negative prompt:'
/** Fewer settings than this in the last line, and it belongs to the prompt (parse_generation_parameters). */
const fewestSettings = 3

/**
 * Writes settings as A1111 does: the prompt, `Negative prompt: ...`, and one line `Steps: 20, Sampler: ...`.
 *
 * A prompt of any lines, commas and quotes is read back as it was if it has no line that begins with
 * "Negative prompt:" and at least three settings follow it.
 *
 * @example formatParameters({ prompt: 'red heart', steps: 20, sampler: 'DDIM', cfgScale: 3, seed: 7 })
 */
export function formatParameters(parameters: Parameters): string {
  const { prompt, negativePrompt, width, height } = parameters
  const size = width === undefined || height === undefined ? undefined : `${width}x${height}`
  const settings: [string, string | number | undefined][] = [
    ['Steps', parameters.steps],
    ['Sampler', parameters.sampler],
    ['Schedule type', parameters.scheduleType],
    ['CFG scale', parameters.cfgScale],
    ['Seed', parameters.seed],
    ['Size', size],
    ['Model hash', parameters.modelHash],
    ['Model', parameters.model],
    ...Object.entries(parameters.extra ?? {}),
    ['Version', parameters.version],
  ]
  const line = settings
    .flatMap(([key, value]) => (value === undefined ? [] : `${key}: ${quote(String(value))}`))
    .join(', ')
  const negative = negativePrompt ? `\n${negativeMark} ${negativePrompt}` : ''
  return line ? `${prompt}${negative}\n${line}` : `${prompt}${negative}`
}

/** A value that the settings line could not hold as it is, in quotes, escaped as JSON. */
function quote(value: string): string {
  return value === '' || value !== value.trim() || /[,:"\n]/.test(value) ? JSON.stringify(value) : value
}

/** Reads A1111's text; what is not understood is kept in `extra`, and text without settings is all prompt. */
export function parseParameters(text: string): Parameters {
  const lines = text.split('\n')
  const found = readSettings(lines.at(-1)!)
  const settings = new Map(found.length < fewestSettings ? [] : found)
  if (settings.size > 0) lines.pop()
  const negativeAt = lines.findIndex(line => line.startsWith(negativeMark))
  const prompt = (negativeAt < 0 ? lines : lines.slice(0, negativeAt)).join('\n')
  const take = (key: string) => {
    const value = settings.get(key)
    settings.delete(key)
    return value
  }
  const takeNumber = (key: string) => {
    const value = settings.get(key)
    if (value === undefined || !/^-?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(value) || !Number.isFinite(+value)) return undefined
    settings.delete(key)
    return Number(value)
  }
  const size = /^(\d{1,9})x(\d{1,9})$/.exec(settings.get('Size') ?? '')
  if (size) settings.delete('Size')
  const parameters = {
    prompt,
    negativePrompt:
      negativeAt < 0 ? undefined : lines.slice(negativeAt).join('\n').slice(negativeMark.length).replace(/^ /, ''),
    steps: takeNumber('Steps'),
    sampler: take('Sampler'),
    scheduleType: take('Schedule type'),
    cfgScale: takeNumber('CFG scale'),
    seed: takeNumber('Seed'),
    width: size ? Number(size[1]) : undefined,
    height: size ? Number(size[2]) : undefined,
    modelHash: take('Model hash'),
    model: take('Model'),
    version: take('Version'),
    extra: settings.size > 0 ? Object.fromEntries(settings) : undefined,
  }
  return Object.fromEntries(
    Object.entries(parameters).filter(([, value]) => value !== undefined),
  ) as unknown as Parameters
}

/** The settings of a line `Key: value, Key: "quoted, value"`; pieces of another form are left out, as A1111 does. */
function readSettings(line: string): [string, string][] {
  const settings: [string, string][] = []
  const next = (what: string, from: number) => {
    const found = line.indexOf(what, from)
    return found < 0 ? line.length : found
  }
  for (let at = 0, colon = -1; at < line.length; ) {
    if (colon < at) colon = next(':', at)
    let comma = next(',', at)
    const key = colon < comma ? line.slice(at, colon).trim() : ''
    if (/^\w[\w \-/]*$/.test(key)) {
      const begin = colon + (line[colon + 1] === ' ' ? 2 : 1)
      const quoted = line[begin] === '"' ? endOfQuotes(line, begin) : undefined
      if (quoted !== undefined) comma = next(',', quoted)
      settings.push([key, quoted === undefined ? line.slice(begin, comma).trim() : unquote(line.slice(begin, quoted))])
    }
    at = comma + 1
  }
  return settings
}

/** The index after the quotes that begin at `begin`, or undefined where they do not end. */
function endOfQuotes(line: string, begin: number): number | undefined {
  for (let i = begin + 1; i < line.length; i++) {
    if (line[i] === '\\') i++
    else if (line[i] === '"') return i + 1
  }
  return undefined
}

function unquote(value: string): string {
  try {
    return String(JSON.parse(value))
  } catch {
    return value
  }
}
