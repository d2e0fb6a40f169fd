import { seedWords } from './seed-sequence.js'

export interface BrownianOptions {
  /** Ends of the time that the path covers. */
  readonly low: number
  readonly high: number
  readonly seed: number | bigint
  /** Unit normals of a fresh generator with this seed, as many as the path has dimensions. */
  readonly draw: (seed: number) => Float32Array
}

/** A stretch of the path in the tree of halves, and the increment over it. */
interface Stretch {
  readonly start: number
  readonly end: number
  /** Its place: which of its row's stretches, counted from the left, and the row. */
  readonly key: number
  readonly depth: number
  readonly increment: Float32Array
}

/** Halves that are kept: the way to a leaf and its neighbours, since the next question is mostly asked close by. */
const KEPT = 48

/** Seeds are spread over this many words, as torchsde's tree has it. */
const POOL = { poolSize: 24 }

/**
 * A Brownian path that is the same whatever is asked of it and in which order, and the same as torchsde's
 * `BrownianTree(low, 0, high, entropy=seed)`: the function returned gives the increment between two times, each rounded to
 * 1e-6, of which the later may come first (it is then the negative).
 *
 * Source: torchsde, _brownian/brownian_interval.py (halfway_tree, tol 1e-6) and derived.py.
 */
export function brownianPath({ low, high, seed, draw }: BrownianOptions): (a: number, b: number) => Float32Array {
  const [first] = seedWords(seed, 1, POOL)
  const whole = Math.sqrt(high - low)
  const root: Stretch = {
    start: rounded(low),
    end: rounded(high),
    key: 0,
    depth: 0,
    increment: draw(first!).map(value => value * whole),
  }
  const kept = new Map<string, readonly [Stretch, Stretch]>()

  function halves(stretch: Stretch): readonly [Stretch, Stretch] {
    const place = `${stretch.depth}:${stretch.key}`
    const known = kept.get(place) ?? split(stretch, seed, draw)
    // Put last: the first of the map is the one that was asked for longest ago.
    kept.delete(place)
    kept.set(place, known)
    if (kept.size > KEPT) kept.delete(kept.keys().next().value!)
    return known
  }

  function add(stretch: Stretch, from: number, to: number, sum: Float32Array): void {
    if (from <= stretch.start && to >= stretch.end) {
      for (let i = 0; i < sum.length; i++) sum[i]! += stretch.increment[i]!
      return
    }
    const [left, right] = halves(stretch)
    if (from < left.end) add(left, from, Math.min(to, left.end), sum)
    if (to > left.end) add(right, Math.max(from, left.end), to, sum)
  }

  const inside = (time: number) => Math.min(Math.max(rounded(time), root.start), root.end)
  return (a, b) => {
    const [from, to] = [inside(Math.min(a, b)), inside(Math.max(a, b))]
    const sum = new Float32Array(root.increment.length)
    if (from < to) add(root, from, to, sum)
    return a <= b ? sum : sum.map(value => -value)
  }
}

/** The halves of a stretch: a Brownian bridge's value in the middle. */
function split(
  { start, end, key, depth, increment }: Stretch,
  seed: number | bigint,
  draw: BrownianOptions['draw'],
): readonly [Stretch, Stretch] {
  const middle = rounded((start + end) / 2)
  const [own] = seedWords(seed, 1, { ...POOL, spawnKey: [key, depth] })
  const noise = draw(own!)
  const share = (middle - start) / (end - start)
  const spread = Math.sqrt(share * (end - middle))
  const left = increment.map((value, i) => share * value + spread * noise[i]!)
  const right = increment.map((value, i) => value - left[i]!)
  return [
    { start, end: middle, key: 2 * key, depth: depth + 1, increment: left },
    { start: middle, end, key: 2 * key + 1, depth: depth + 1, increment: right },
  ]
}

/** Six digits after the point, as Python rounds: halves, of which a double can hold few, to the even digit. */
function rounded(time: number): number {
  if (!Number.isInteger(time * 128)) return Number(time.toFixed(6))
  const millionths = time * 1e6
  const low = Math.floor(millionths)
  const even = low % 2 === 0 ? low : low + 1
  return (millionths - low === 0.5 ? even : Math.round(millionths)) / 1e6
}
