/*
 * What Python's `re` and `float` mean, where the tools whose prompts are read here lean on it: JavaScript's own white
 * space, word boundaries and numbers differ.
 */

/** Python's `\s`, as the inside of a character class. */
export const SPACES = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'

const isSpace = new RegExp(`[${SPACES}]`)
const numeral = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/i

/** Without white space at the start, by index so that long runs of it take no more than linear time. */
export function trimmedStart(text: string): string {
  let from = 0
  while (from < text.length && isSpace.test(text[from]!)) from++
  return text.slice(from)
}

/** Without white space at the end. */
export function trimmedEnd(text: string): string {
  let to = text.length
  while (to > 0 && isSpace.test(text[to - 1]!)) to--
  return text.slice(0, to)
}

/** Where a word stands by itself, as `\bword\b` finds it in Unicode. */
export const standing = (word: string): RegExp => new RegExp(`(?<![\\p{L}\\p{N}_])${word}(?![\\p{L}\\p{N}_])`, 'gu')

/** What `float` reads; undefined where it throws. Infinite and undefined numbers are read as such. */
export function pythonFloat(text: string): number | undefined {
  const plain = trimmedStart(trimmedEnd(text))
  if (numeral.test(plain)) return Number(plain.replaceAll('_', ''))
  const word = /^([+-]?)(?:(inf|infinity)|nan)$/i.exec(plain)
  if (word === null) return undefined
  return word[2] === undefined ? Number.NaN : word[1] === '-' ? -Infinity : Infinity
}
