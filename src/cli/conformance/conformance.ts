import { type Case, findCases, openCase } from './case.js'
import { compareJson, compareTensors, type Difference } from './compare.js'
import { type Answer, type Context, type FileAnswer, type Kind, NotBuilt } from './kind.js'
import { kinds } from './kinds/index.js'
import { toleranceOf } from './tolerance.js'

/** The verdict on one case. */
export interface CaseResult {
  /** Path of the case below the folder, such as `unet/sd1`. */
  readonly case: string
  readonly status: 'equal' | 'differs' | 'not-built'
  /** Largest difference over tolerance; null where it cannot be measured (another shape, an error, not built). */
  readonly ratio: number | null
  /** The tensor with the largest ratio as `file:tensor`; else what went wrong or is missing. */
  readonly where: string
  /** Tensors (and entries of JSON files) compared, and all that the expected files hold. */
  readonly compared: number
  readonly total: number
  /** What differs, in words. */
  readonly detail?: string
}

export interface ConformanceOptions {
  readonly device?: Context['device']
  /** Only cases whose path contains this. */
  readonly filter?: string
  /** Paths of the cases; by default all below the folder, which a server of files cannot tell. */
  readonly cases?: readonly string[]
  readonly kinds?: readonly Kind[]
  readonly signal?: AbortSignal
}

/**
 * Runs every case below `folder` (laid out like the reference set) and yields a verdict for each, in the order of their
 * paths.
 *
 * A case is `equal` only if every tensor of every expected file was compared and lies within its tolerance, and every
 * `extra` layout was loaded and agrees.
 *
 * @example for await (const { case: path, status } of conformance('reference')) console.log(path, status)
 */
export async function* conformance(folder: string, options: ConformanceOptions = {}): AsyncGenerator<CaseResult> {
  const context: Context = { device: options.device ?? 'cpu' }
  const paths = () => options.cases ?? findCases(folder)
  for await (const path of paths()) {
    options.signal?.throwIfAborted()
    if (!options.filter || path.includes(options.filter)) {
      yield await judge(path, () => openCase(folder, path, paths), context, options.kinds ?? kinds)
    }
  }
}

async function judge(
  path: string,
  open: () => Promise<Case>,
  context: Context,
  kinds: readonly Kind[],
): Promise<CaseResult> {
  const tally = new Tally(path)
  try {
    const testCase = await open()
    const expected = await readExpected(testCase)
    for (const { entries } of expected) tally.total += entries.length
    const kind = kinds.find(k => k.kind === testCase.kind && (k.recognises?.(testCase) ?? true))
    if (!kind) return tally.notBuilt(`${testCase.kind}: ${testCase.objects || testCase.what}`)
    const answer = await kind.run(testCase, context)
    compareAnswer(testCase, kind, expected, answer, tally)
    for (const [file, problem] of Object.entries(answer.verdicts ?? {})) {
      tally.total++
      tally.add(file, problem === undefined ? { ratio: 0 } : { ratio: Infinity, detail: problem })
    }
    const unread = testCase.filesOf('extra').filter(file => !testCase.filesRead.has(file))
    return tally.verdict(unread.map(file => `the layout "${file}" was not loaded`))
  } catch (error) {
    if (error instanceof NotBuilt) return tally.notBuilt(error.message)
    return tally.failed(error instanceof Error ? `${error.name}: ${error.message}` : String(error))
  }
}

interface ExpectedEntry {
  readonly name: string
  compare(ours: FileAnswer, kind: Kind): Difference | undefined
}

interface ExpectedFile {
  readonly file: string
  readonly entries: readonly ExpectedEntry[]
  /** Entries of ours that nobody expects. */
  surplus(ours: FileAnswer): string[]
}

async function readExpected(testCase: Case): Promise<ExpectedFile[]> {
  const files: ExpectedFile[] = []
  for (const file of testCase.filesOf('expected')) {
    files.push(file.endsWith('.json') ? await expectedJson(testCase, file) : await expectedTensors(testCase, file))
  }
  return files
}

async function expectedTensors(testCase: Case, file: string): Promise<ExpectedFile> {
  const tensors = await testCase.tensors(file)
  const entries = [...tensors].map(
    ([name, tensor]): ExpectedEntry => ({
      name,
      compare(ours, kind) {
        const got = ours instanceof Map ? ours.get(name) : undefined
        if (!got) return undefined
        const integer = !/^(F|BF)\d/.test(tensor.dtype)
        const tolerance = kind.tolerance?.(testCase, file, name) ?? toleranceOf(testCase.tolerance, file, name, integer)
        return compareTensors(got, tensor, tolerance)
      },
    }),
  )
  return { file, entries, surplus: ours => (ours instanceof Map ? [...ours.keys()].filter(k => !tensors.has(k)) : []) }
}

/** The entries of a JSON file are the values of an object or the records of a list; anything else counts as one. */
async function expectedJson(testCase: Case, file: string): Promise<ExpectedFile> {
  const value = await testCase.json(file)
  const split =
    typeof value === 'object' && value !== null && (!Array.isArray(value) || value.some(v => typeof v === 'object'))
  const names = split ? Object.keys(value) : ['']
  const part = (whole: unknown, name: string) =>
    !split ? whole : Object.hasOwn(Object(whole), name) ? (whole as Record<string, unknown>)[name] : undefined
  const entries = names.map(
    (name): ExpectedEntry => ({
      name,
      compare(ours, kind) {
        const got = part(ours, name)
        if (got === undefined) return undefined
        return compareJson(
          got,
          part(value, name),
          entry => kind.tolerance?.(testCase, file, entry) ?? toleranceOf(testCase.tolerance, file, entry, false),
          name,
        )
      },
    }),
  )
  return { file, entries, surplus: ours => (split ? Object.keys(Object(ours)).filter(k => !names.includes(k)) : []) }
}

function compareAnswer(testCase: Case, kind: Kind, expected: ExpectedFile[], answer: Answer, tally: Tally): void {
  for (const { file, entries, surplus } of expected) {
    const ours = answer.files[file]
    for (const entry of entries) {
      const place = entry.name ? `${file}:${entry.name}` : file
      const difference = ours === undefined ? undefined : entry.compare(ours, kind)
      if (difference) tally.add(place, difference)
      else tally.missing.push(place)
      for (const layout of answer.layouts ?? []) {
        const again = layout[file] === undefined ? undefined : entry.compare(layout[file], kind)
        if (again && again.ratio > 1)
          tally.add(`${place} through the layout of ${testCase.filesOf('extra')[0]}`, again, 0)
      }
    }
    for (const name of ours === undefined ? [] : surplus(ours)) {
      tally.add(`${file}:${name}`, { ratio: Infinity, detail: 'is computed but not expected' }, 0)
    }
  }
}

/** Counts the comparisons of one case and keeps the worst. */
class Tally {
  readonly path: string
  total = 0
  compared = 0
  readonly missing: string[] = []
  #ratio = 0
  #where = ''
  #detail: string | undefined

  constructor(path: string) {
    this.path = path
  }

  add(place: string, { ratio, detail }: Difference, count = 1): void {
    this.compared += count
    if (ratio > this.#ratio || this.#where === '') {
      this.#ratio = ratio
      this.#where = place
      this.#detail = detail
    }
  }

  verdict(unchecked: readonly string[]): CaseResult {
    const incomplete = [...this.missing.map(place => `${place} was not computed`), ...unchecked]
    if (this.#ratio <= 1 && incomplete.length > 0) return this.notBuilt(incomplete.join('; '))
    return this.#result(this.#ratio <= 1 ? 'equal' : 'differs', this.#ratio, this.#where, this.#detail)
  }

  notBuilt(what: string): CaseResult {
    return this.#result('not-built', null, what)
  }

  failed(message: string): CaseResult {
    return this.#result('differs', null, message)
  }

  #result(status: CaseResult['status'], ratio: number | null, where: string, detail?: string): CaseResult {
    return {
      case: this.path,
      status,
      ratio: ratio === null || !Number.isFinite(ratio) ? null : ratio,
      where,
      compared: this.compared,
      total: this.total,
      ...(detail === undefined ? {} : { detail }),
    }
  }
}
