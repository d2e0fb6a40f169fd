import type { Tolerance } from './tolerance.js'

/** Numbers of a tensor with their shape; where `compare` is 0 an element is left out (masks of a case). */
export interface Value {
  readonly shape: readonly number[]
  readonly data: ArrayLike<number | bigint>
  readonly compare?: ArrayLike<number | bigint>
}

/** Largest |difference| / tolerance of a comparison, and in words where it is above 1. */
export interface Difference {
  /** 0 = equal to the bit, above 1 = differs; Infinity where nothing can be measured (shapes, strings). */
  readonly ratio: number
  readonly detail?: string
}

/** Compares tensors element by element; NaN equals NaN, infinities equal themselves. */
export function compareTensors(ours: Value, expected: Value, tolerance: Tolerance): Difference {
  if (ours.shape.join() !== expected.shape.join()) {
    return { ratio: Infinity, detail: `has shape [${ours.shape}], expected [${expected.shape}]` }
  }
  const n = expected.data.length
  const row = n / (expected.shape[0] ?? 1)
  let ratio = 0
  let worst = -1
  for (let i = 0; i < n; i++) {
    if (ours.compare && Number(ours.compare[i]) === 0) continue
    const a = ours.data[i]!
    const b = expected.data[i]!
    if (a === b) continue
    const atol = tolerance.rows ? tolerance.rows[Math.floor(i / row)]! : tolerance.atol
    // Two 64-bit integers beyond 2^53 may differ and yet round to the same number.
    const rounded = typeof a === 'bigint' && typeof b === 'bigint' && Number(a) === Number(b)
    const r = rounded ? Infinity : elementRatio(Number(a), Number(b), atol, tolerance.rtol)
    if (r > ratio) {
      ratio = r
      worst = i
    }
  }
  if (ratio <= 1) return { ratio }
  const [a, b] = [Number(ours.data[worst]), Number(expected.data[worst])]
  return { ratio, detail: `element ${worst} is ${a}, expected ${b} (differs by ${Math.abs(a - b).toPrecision(3)})` }
}

function elementRatio(a: number, b: number, atol: number, rtol: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0
  const difference = Math.abs(a - b)
  const allowed = atol + rtol * Math.abs(b)
  if (!Number.isFinite(difference) || allowed === 0 || !Number.isFinite(allowed)) return Infinity
  return difference / allowed
}

/** Compares JSON values: same structure, strings and booleans equal, numbers within the tolerance of their path. */
export function compareJson(
  ours: unknown,
  expected: unknown,
  toleranceAt: (path: string, integer: boolean) => Tolerance,
  path = '',
): Difference {
  const want = nonfinite(expected)
  const got = nonfinite(ours)
  if (typeof want === 'number' && typeof got === 'number') {
    const { atol, rtol } = toleranceAt(path, false)
    const ratio = elementRatio(got, want, atol, rtol)
    return ratio <= 1 ? { ratio } : { ratio, detail: `${path || 'value'} is ${got}, expected ${want}` }
  }
  if (typeof want !== 'object' || want === null || typeof got !== 'object' || got === null) {
    if (want === got) return { ratio: 0 }
    return { ratio: Infinity, detail: `${path || 'value'} is ${show(got)}, expected ${show(want)}` }
  }
  if (Array.isArray(want) !== Array.isArray(got)) return { ratio: Infinity, detail: `${path} is of another type` }
  const [a, b] = [got as Record<string, unknown>, want as Record<string, unknown>]
  let worst: Difference = { ratio: 0 }
  for (const key of new Set([...Object.keys(b), ...Object.keys(a)])) {
    const place = path ? `${path}.${key}` : key
    const missing = !Object.hasOwn(a, key) || !Object.hasOwn(b, key)
    const difference = missing
      ? { ratio: Infinity, detail: `${place} is ${Object.hasOwn(b, key) ? 'missing' : 'one too many'}` }
      : compareJson(a[key], b[key], toleranceAt, place)
    if (difference.ratio > worst.ratio) worst = difference
  }
  return worst
}

/** Numbers that JSON cannot hold are written `{"nonfinite": "nan" | "inf" | "-inf"}`. */
function nonfinite(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'nonfinite')) return value
  const word = String((value as { nonfinite: unknown }).nonfinite)
  return /nan/i.test(word) ? Number.NaN : word.startsWith('-') ? -Infinity : Infinity
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 60)}...` : text
}
