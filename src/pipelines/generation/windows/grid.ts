/** Height and width of planes. */
export type Sides = readonly [height: number, width: number]

/** Where a window begins in planes; it may reach beyond their end, to where they begin again. */
export type Corner = readonly [top: number, left: number]

/** How windows lie in planes. */
export interface GridOptions {
  /** How far neighbours reach into one another at least, as a share of the window. */
  readonly overlap: number
  /** What places are multiples of. */
  readonly unit: number
  /** Whether the planes' ends are neighbours: of top and bottom, of left and right. */
  readonly wraps: readonly [boolean, boolean]
}

/** Windows that cover planes evenly, row by row. */
export function grid(sides: Sides, window: Sides, { overlap, unit, wraps }: GridOptions): Corner[] {
  const along = (axis: 0 | 1) => places(sides[axis], window[axis], { overlap, unit, wraps: wraps[axis] })
  return along(0).flatMap(top => along(1).map((left): Corner => [top, left]))
}

function places(
  length: number,
  window: number,
  { overlap, unit, wraps }: { overlap: number; unit: number; wraps: boolean },
): number[] {
  if (window >= length) return [0]
  const stride = Math.max(unit, Math.floor((window * (1 - overlap)) / unit) * unit)
  const gaps = Math.ceil((wraps ? length : length - window) / stride)
  const way = (wraps ? length : length - window) / unit
  return Array.from({ length: wraps ? gaps : gaps + 1 }, (_, i) => Math.floor((i * way) / gaps) * unit)
}

/** Calls `visit` with the offsets into planes and into a window of runs of neighbours, and their length. */
function forEachRun(
  [height, width]: Sides,
  [h, w]: Sides,
  [top, left]: Corner,
  visit: (at: number, inside: number, length: number) => void,
): void {
  for (let y = 0; y < h; y++) {
    const row = ((top + y) % height) * width
    const first = Math.min(w, width - left)
    visit(row + left, y * w, first)
    if (first < w) visit(row, y * w + first, w - first)
  }
}

/** A window of each of the planes [planes, height, width]. */
export function cut(data: Float32Array, sides: Sides, window: Sides, corner: Corner): Float32Array {
  const [area, inside] = [sides[0] * sides[1], window[0] * window[1]]
  const planes = data.length / area
  const out = new Float32Array(planes * inside)
  for (let p = 0; p < planes; p++)
    forEachRun(sides, window, corner, (at, to, length) => {
      out.set(data.subarray(p * area + at, p * area + at + length), p * inside + to)
    })
  return out
}

/** Planes that are put together of windows, each point the mean of all that cover it. */
export interface Blend {
  add(values: Float32Array, corner: Corner): void
  result(): Float32Array
}

/**
 * Opens a blend of windows in planes [planes, height, width]. Points count in full from `ramps` pixels inside a window on,
 * and less towards its edges, which so leave no step; without ramps all count the same.
 */
export function blend(planes: number, sides: Sides, window: Sides, ramps: Sides = [0, 0]): Blend {
  const [area, inside] = [sides[0] * sides[1], window[0] * window[1]]
  const sum = new Float64Array(planes * area)
  const total = new Float64Array(area)
  const [down, across] = [0, 1].map(axis => rising(window[axis]!, ramps[axis]!)) as [Float64Array, Float64Array]
  const weights = Float64Array.from(
    { length: inside },
    (_, i) => down[Math.floor(i / window[1])]! * across[i % window[1]]!,
  )
  return {
    add(values, corner) {
      forEachRun(sides, window, corner, (at, from, length) => {
        for (let i = 0; i < length; i++) total[at + i]! += weights[from + i]!
        for (let p = 0; p < planes; p++)
          for (let i = 0; i < length; i++)
            sum[p * area + at + i]! += weights[from + i]! * values[p * inside + from + i]!
      })
    },
    result: () => Float32Array.from(sum, (value, i) => value / total[i % area]!),
  }
}

/** Weights along a window's axis: up within `ramp`, and down again. */
const rising = (length: number, ramp: number): Float64Array =>
  Float64Array.from({ length }, (_, i) => Math.min(1, (Math.min(i, length - 1 - i) + 0.5) / Math.max(ramp, 0.5)))
