import type { WeightedText } from './attention.js'
import { promptError } from './errors.js'
import { pythonFloat } from './python.js'

/** ComfyUI itself fails where Python's recursion ends, at about 1000. */
const DEEPEST = 500

// Brackets that are text, while others are looked for; the same stand-ins as ComfyUI's, so that they mean the same.
const escaped = (text: string) => text.replaceAll('\\)', '\0\x01').replaceAll('\\(', '\0\x02')
const unescaped = (text: string) => text.replaceAll('\0\x01', ')').replaceAll('\0\x02', '(')

/**
 * The weights that ComfyUI reads from a prompt: `(a)` 1.1, `(a:1.2)` 1.2 whatever is around it, `\(` a bracket that is text.
 *
 * @throws LatentkitError for a weight that is infinite or none, and for brackets nested more than 500 deep
 * @see comfyanonymous/ComfyUI comfy/sd1_clip.py, token_weights
 * @example comfyuiWeights('a (cat:1.2)') // [{ text: 'a ', weight: 1 }, { text: 'cat', weight: 1.2 }]
 */
export function comfyuiWeights(prompt: string): readonly WeightedText[] {
  const text = escaped(prompt)
  return weighed({ text, from: 0, to: text.length }, 1, 0).map(({ text, weight }) => ({
    text: unescaped(text),
    weight,
  }))
}

/** A part of a text. */
interface Span {
  readonly text: string
  readonly from: number
  readonly to: number
}

function weighed(span: Span, weight: number, depth: number): WeightedText[] {
  const { text } = span
  if (depth > DEEPEST)
    throw promptError(
      unescaped(text),
      span.from,
      `brackets are nested more than ${DEEPEST} deep`,
      'wanted fewer, or \\( for text',
    )
  return items(span).flatMap(([from, to]) => {
    if (to - from < 2 || text[from] !== '(' || text[to - 1] !== ')') return [{ text: text.slice(from, to), weight }]
    const inner = { text, from: from + 1, to: to - 1 }
    const colon = text.lastIndexOf(':', inner.to - 1)
    const own = colon > inner.from ? pythonFloat(text.slice(colon + 1, inner.to)) : undefined
    if (own === undefined) return weighed(inner, weight * 1.1, depth + 1)
    if (Number.isFinite(own)) return weighed({ ...inner, to: colon }, own, depth + 1)
    throw promptError(unescaped(text), colon, 'the weight is no finite number', 'wanted one such as 1.2')
  })
}

/** Whole brackets and what is between them. A bracket that was never opened lets the next one open none (nesting below 0). */
function items({ text, from: first, to: last }: Span): (readonly [number, number])[] {
  const out: [number, number][] = []
  let from = first
  let nesting = 0
  const cut = (to: number) => {
    if (to > from) out.push([from, to])
    from = to
  }
  for (let i = first; i < last; i++) {
    if (text[i] === '(' && nesting++ === 0) cut(i)
    else if (text[i] === ')' && --nesting === 0) cut(i + 1)
  }
  cut(last)
  return out
}
