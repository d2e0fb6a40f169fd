import type { CaseDescription } from './case.js'

/** |ours - expected| <= atol + rtol * |expected|, or one `rows` atol per index of the first axis. */
export interface Tolerance {
  readonly atol: number
  readonly rtol: number
  readonly rows?: readonly number[]
}

export const exact: Tolerance = { atol: 0, rtol: 0 }

/**
 * The tolerance that a case gives for one tensor of a file (or one entry of a JSON file): the table `atol`, then
 * `overrides` (exact names, lists and `*` patterns), then the defaults. Integers are exact wherever the table is silent.
 */
export function toleranceOf(
  given: CaseDescription['tolerance'],
  file: string,
  entry: string,
  integer: boolean,
): Tolerance {
  const listed = field(field(given.atol, file), entry)
  if (listed !== undefined) return readTolerance(listed)
  const overridden = overrideOf(given, entry)
  if (overridden !== undefined) return overridden
  if (integer) return exact
  // Some rules are a sentence: "relative 1e-12 (float64)".
  const spoken = /^relative (\d[\d.e+-]*)/.exec(given.rule)?.[1]
  return {
    atol: number(given.default_atol) ?? 0,
    rtol: number(given.default_rtol) ?? number(spoken && Number(spoken)) ?? 0,
  }
}

/** The entry of the table `overrides` for a name; undefined where there is none or it is told in words. */
export function overrideOf(given: CaseDescription['tolerance'], name: string): Tolerance | undefined {
  for (const [patterns, value] of Object.entries(Object(given.overrides))) {
    if (typeof value === 'string') continue
    if (patterns.split(',').some(pattern => matches(pattern.trim(), name))) return readTolerance(value)
  }
  return undefined
}

/** The sentence of `overrides` that is filed under exactly this heading. */
export function overrideText(given: CaseDescription['tolerance'], heading: string): string | undefined {
  const text = field(given.overrides, heading)
  return typeof text === 'string' ? text : undefined
}

/** A number is an absolute tolerance; an object has `atol` and `rtol`, or `rows`. */
function readTolerance(value: unknown): Tolerance {
  if (typeof value === 'number') return { atol: value, rtol: 0 }
  const rows = field(value, 'rows')
  const read = { atol: number(field(value, 'atol')) ?? 0, rtol: number(field(value, 'rtol')) ?? 0 }
  return Array.isArray(rows) ? { ...read, rows: rows.map(Number) } : read
}

function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(name)
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
