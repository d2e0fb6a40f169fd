import { promptError } from './errors.js'
import { SPACES, standing, trimmedEnd, trimmedStart } from './python.js'

/** A part of a prompt that counts as much throughout. */
export interface WeightedText {
  readonly text: string
  readonly weight: number
}

/** What stands between the parts of a prompt that A1111 encodes apart; any other weight makes text of the word. */
export const isBreak = ({ text, weight }: WeightedText): boolean => text === 'BREAK' && weight === -1

const TOKEN = new RegExp(
  `\\\\[()[\\]\\\\]|\\\\|[([]|:[${SPACES}]*([+-]?[.\\d]+)[${SPACES}]*\\)|[)\\]]|[^\\\\()[\\]:]+|:`,
  'g',
)
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)$/
const BREAK = standing('BREAK')

/**
 * The weights that A1111 reads from a prompt: `(a)` 1.1, `[a]` 1 / 1.1, `(a:1.2)`, `\(` a bracket that is text, `BREAK`.
 * Brackets that stay open weigh what follows, those that were never opened are text.
 *
 * @throws LatentkitError for a weight such as 1.2.3, which the original fails at too
 * @see AUTOMATIC1111/stable-diffusion-webui modules/prompt_parser.py, parse_prompt_attention
 * @example a1111Weights('an (important) word') // [{ text: 'an ', weight: 1 }, { text: 'important', weight: 1.1 }, { text: ' word', weight: 1 }]
 */
export function a1111Weights(prompt: string): readonly WeightedText[] {
  const pieces: { text: string; weight: number }[] = []
  const round: number[] = []
  const square: number[] = []
  const weigh = (from: number, weight: number) => {
    for (let i = from; i < pieces.length; i++) pieces[i]!.weight *= weight
  }
  for (const match of prompt.matchAll(TOKEN)) {
    const [token, weight] = match
    if (token.startsWith('\\')) pieces.push({ text: token.slice(1), weight: 1 })
    else if (token === '(') round.push(pieces.length)
    else if (token === '[') square.push(pieces.length)
    else if (weight !== undefined && round.length > 0) weigh(round.pop()!, weightOf(prompt, match.index, weight))
    else if (token === ')' && round.length > 0) weigh(round.pop()!, 1.1)
    else if (token === ']' && square.length > 0) weigh(square.pop()!, 1 / 1.1)
    else pieces.push(...broken(token))
  }
  for (const from of round) weigh(from, 1.1)
  for (const from of square) weigh(from, 1 / 1.1)
  return merged(pieces)
}

function weightOf(prompt: string, at: number, written: string): number {
  if (NUMBER.test(written)) return Number(written)
  throw promptError(prompt, at, `the weight "${written}" is no number`, 'wanted one such as 1.2')
}

/** A text at its BREAKs, which take the white space around them along. */
function broken(text: string): { text: string; weight: number }[] {
  const parts = text.split(BREAK)
  return parts.flatMap((part, i) => {
    const front = i > 0 ? trimmedStart(part) : part
    const piece = { text: i < parts.length - 1 ? trimmedEnd(front) : front, weight: 1 }
    return i > 0 ? [{ text: 'BREAK', weight: -1 }, piece] : [piece]
  })
}

/** Runs of the same weight as one piece, which is tokenized in one. */
export function merged(pieces: readonly WeightedText[]): WeightedText[] {
  const out: { text: string[]; weight: number }[] = []
  for (const { text, weight } of pieces) {
    const last = out.at(-1)
    if (last?.weight === weight) last.text.push(text)
    else out.push({ text: [text], weight })
  }
  if (out.length === 0) return [{ text: '', weight: 1 }]
  return out.map(({ text, weight }) => ({ text: text.join(''), weight }))
}
