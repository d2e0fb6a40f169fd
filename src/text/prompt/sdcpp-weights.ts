import { merged, type WeightedText } from './attention.js'
import { promptError } from './errors.js'

/** As it searches anew from the end of each find, BREAK and B count as words wherever they begin. */
const TOKEN = /\\[()[\]\\]|\\|[([]|:([+-]?[.\d]+)\)|[)\]]|BREAK(?!\w)|[^\\()[\]:B]+|:|B/g
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)/
const { fround } = Math
const MORE = fround(1.1)
const LESS = fround(1 / MORE)

/**
 * The weights that stable-diffusion.cpp reads from a prompt: A1111's, but that of the escapes `\(` alone loses its backslash,
 * a weight behind no bracket is dropped, and `BREAK` needs no space before it. All in single precision.
 *
 * @throws LatentkitError for a weight that does not begin with a number, at which the original stops
 * @see leejet/stable-diffusion.cpp src/core/util.cpp, parse_prompt_attention
 * @example sdcppWeights('a (b:1.5) \\[c\\]') // [{ text: 'a ', weight: 1 }, { text: 'b', weight: 1.5 }, { text: ' \\[c\\]', weight: 1 }]
 */
export function sdcppWeights(prompt: string): readonly WeightedText[] {
  const pieces: { text: string; weight: number }[] = []
  const round: number[] = []
  const square: number[] = []
  const weigh = (from: number, weight: number) => {
    for (let i = from; i < pieces.length; i++) pieces[i]!.weight = fround(pieces[i]!.weight * weight)
  }
  for (const match of prompt.matchAll(TOKEN)) {
    const [token, weight] = match
    if (token === '(') round.push(pieces.length)
    else if (token === '[') square.push(pieces.length)
    else if (weight !== undefined) {
      if (round.length > 0) weigh(round.pop()!, weightOf(prompt, match.index, weight))
    } else if (token === ')' && round.length > 0) weigh(round.pop()!, MORE)
    else if (token === ']' && square.length > 0) weigh(square.pop()!, LESS)
    else if (token === '\\(') pieces.push({ text: '(', weight: 1 })
    else pieces.push({ text: token, weight: token === 'BREAK' ? -1 : 1 })
  }
  for (const from of round) weigh(from, MORE)
  for (const from of square) weigh(from, LESS)
  return merged(pieces)
}

/** What C++'s stof reads: a number at the beginning. */
function weightOf(prompt: string, at: number, written: string): number {
  const weight = fround(Number(NUMBER.exec(written)?.[0] ?? Number.NaN))
  if (Number.isFinite(weight)) return weight
  throw promptError(prompt, at, `the weight "${written}" is no number`, 'wanted one such as 1.2')
}
