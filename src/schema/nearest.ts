/** Longer words are never compared: the distance takes the product of both lengths. */
const LONGEST = 64

/** Edits (insert, delete, replace, swap of neighbours) between two words: optimal string alignment, in three rows. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1)
      row.push(best)
    }
    before = above
    above = row
  }
  return above[b.length]!
}

/** Case, hyphens and underscores are how one name differs between files, flags and code. */
const plain = (word: string) => word.toLowerCase().replace(/[-_\s]/g, '')

/**
 * The known name that `word` was most likely meant to be, or undefined where none is near.
 * @example nearest('stpes', ['steps', 'seed']) // 'steps'
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > LONGEST) return undefined
  const typed = plain(word)
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(typed.length / 3)) + 0.5
  for (const name of known) {
    const target = plain(name)
    if (target.length > LONGEST) continue
    // A name cut short or run on is nearer than its length says: `guid` for `guidance`.
    const cut = typed.length >= 3 && (target.startsWith(typed) || typed.startsWith(target)) && target.length >= 3
    const distance = cut ? Math.min(1.2, editDistance(typed, target)) : editDistance(typed, target)
    // Of a single letter every other letter is one edit away: no hint then.
    if (distance < bestDistance && distance < typed.length) [best, bestDistance] = [name, distance]
  }
  return best
}

/**
 * The end of an error about an unknown name: the nearest known one, or else the known ones.
 * @example suggest('ddmi', ['ddim', 'ddpm']) // 'did you mean "ddim"?'
 */
export function suggest(word: string, known: Iterable<string>): string {
  const names = [...known]
  const near = nearest(word, names)
  if (near !== undefined) return `did you mean "${near}"?`
  if (names.length === 0) return 'none is known here'
  return `known: ${names.slice(0, 24).join(', ')}${names.length > 24 ? ', ...' : ''}`
}
