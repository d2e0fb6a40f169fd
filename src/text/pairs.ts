/** Symbols are below 2^20, so that a pair is one exact number and its order that of (left, right). */
export const SYMBOLS = 2 ** 20

/** A pair of symbols as one number. */
export const pairKey = (left: number, right: number) => left * SYMBOLS + right

/** A binary heap: `pop` gives the element that comes first by `before`. */
export class Heap<T> {
  readonly #items: T[] = []
  readonly #before: (a: T, b: T) => boolean

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before
  }

  push(item: T): void {
    const items = this.#items
    let i = items.push(item) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!this.#before(item, items[parent]!)) break
      items[i] = items[parent]!
      i = parent
    }
    items[i] = item
  }

  pop(): T | undefined {
    const items = this.#items
    const top = items[0]
    const last = items.pop()
    if (items.length === 0 || last === undefined) return top
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= items.length) break
      if (child + 1 < items.length && this.#before(items[child + 1]!, items[child]!)) child++
      if (!this.#before(items[child]!, last)) break
      items[i] = items[child]!
      i = child
    }
    items[i] = last
    return top
  }
}

/**
 * Byte-pair encoding of one word (Sennrich et al. 2016, algorithm 1 applied): of all neighbours that merge, the one with
 * the lowest merged symbol first, from left to right, until none is left. Takes n log n time: a word may be a whole page.
 * @param merges from `pairKey` to the merged symbol; later merges have higher symbols
 */
export function mergePairs(word: readonly number[], merges: ReadonlyMap<number, number>): number[] {
  const symbols = [...word]
  const next = symbols.map((_, i) => i + 1)
  const previous = symbols.map((_, i) => i - 1)
  const candidates = new Heap<{ merged: number; at: number; left: number; right: number }>(
    (a, b) => a.merged < b.merged || (a.merged === b.merged && a.at < b.at),
  )
  const offer = (at: number) => {
    const after = at < 0 ? symbols.length : next[at]!
    if (after >= symbols.length) return
    const [left, right] = [symbols[at]!, symbols[after]!]
    const merged = merges.get(pairKey(left, right))
    if (merged !== undefined) candidates.push({ merged, at, left, right })
  }
  for (let i = 0; i < symbols.length; i++) offer(i)
  for (let best = candidates.pop(); best !== undefined; best = candidates.pop()) {
    const { merged, at, left, right } = best
    const after = next[at]!
    // Offers whose symbols have been merged away since are stale.
    if (symbols[at] !== left || after >= symbols.length || symbols[after] !== right) continue
    symbols[at] = merged
    symbols[after] = -1
    next[at] = next[after]!
    if (next[at]! < symbols.length) previous[next[at]!] = at
    offer(previous[at]!)
    offer(at)
  }
  return symbols.filter(symbol => symbol >= 0)
}
