import { trimmedEnd, trimmedStart } from './python.js'

/** A prompt as it reads up to a step. */
export interface PromptStage {
  /** The last step, from 1 on, that it is meant for; see `stageAt` for which step of the sampler that is. */
  readonly until: number
  readonly text: string
}

/** How many steps a prompt is for. */
export interface PromptSteps {
  readonly steps: number
  /** For a second pass over an enlarged picture: how many steps the first one had. */
  readonly firstPass?: number | undefined
}

/** Texts, what is written one after the other, and what depends on the step. */
type Node = string | readonly Node[] | Edit
interface Edit {
  choose(step: number): Node
}

/** A bracket that is open: what stands between its separators, and those. */
interface Frame {
  readonly open: string
  readonly parts: Node[][]
  readonly separators: string[]
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const PLAIN = /(?:[^\\[\]():|]|\\[^\n])+/y

/**
 * How a prompt of A1111's reads at each step: `[from:to:when]`, `[to:when]`, `[from::when]`, where `when` with a point is a
 * share of the steps, and `[a|b]`, which takes turns. Brackets that do not match are text; with a `|` or a lone backslash
 * outside of them nothing of the prompt is an edit.
 *
 * The original's grammar is ambiguous, each bracket could be text as well; its parser (lark 1.1.2) prefers what has
 * structure, which reading from left to right gives at once: a bracket that cannot close makes text of all that are open
 * around it. Only of an edit that touches brackets which are text, as in `[a:3]]`, the original makes one or the other by
 * the chance of Python's hash seed; here it is an edit.
 *
 * @see AUTOMATIC1111/stable-diffusion-webui modules/prompt_parser.py, get_learned_conditioning_prompt_schedules
 * @example promptStages('a [cat:dog:0.5]', { steps: 10 }) // [{ until: 5, text: 'a cat' }, { until: 10, text: 'a dog' }]
 */
export function promptStages(prompt: string, steps: PromptSteps): readonly PromptStage[] {
  const read = readEdits(prompt, steps)
  if (read === undefined) return [{ until: steps.steps, text: prompt }]
  return [...read.changes].sort((a, b) => a - b).map(until => ({ until, text: textAt(read.root, until) }))
}

/**
 * Which stage a sampler's step shows: A1111 counts the network's calls from 0 on, so that each stage but the first begins
 * one call late (`current_step <= entry.end_at_step`, reconstruct_cond_batch); after the last the first comes again.
 */
export function stageAt(stages: readonly Pick<PromptStage, 'until'>[], call: number): number {
  return Math.max(
    0,
    stages.findIndex(({ until }) => call <= until),
  )
}

function readEdits(
  prompt: string,
  { steps, firstPass }: PromptSteps,
): { root: Node; changes: Set<number> } | undefined {
  const root: Node[] = []
  const changes = new Set([steps])
  let frames: Frame[] = []
  const add = (node: Node) => (frames.at(-1)?.parts.at(-1) ?? root).push(node)
  const giveUp = (): boolean => {
    for (const frame of frames) root.push(asText(frame))
    const clean = frames.every(({ separators }) => !separators.includes('|'))
    frames = []
    return clean
  }
  const edit = (frame: Frame): Node | undefined => {
    const { open, parts, separators } = frame
    const kinds = new Set(separators)
    if (separators.length === 0 || (open === '(' && separators.length === 1 && kinds.has(':'))) return asText(frame)
    if (open === '(' || kinds.size > 1) return undefined
    if (kinds.has('|')) {
      for (let step = 1; step <= steps; step++) changes.add(step)
      return { choose: step => parts[(step - 1) % parts.length]! }
    }
    const written = numberIn(parts.at(-1)!)
    if (written === undefined || separators.length > 2) return undefined
    const share = written.includes('.')
    const counted = share
      ? (Number(written) - (firstPass === undefined ? 0 : 1)) * steps
      : Number(written) - (firstPass ?? 0)
    const when = Math.min(steps, Math.trunc(counted))
    if (when >= 1) changes.add(when)
    const [before, after] = separators.length === 2 ? [parts[0]!, parts[1]!] : ['', parts[0]!]
    return { choose: step => (step <= when ? before : after) }
  }

  for (let at = 0; at < prompt.length; ) {
    PLAIN.lastIndex = at
    const plain = PLAIN.exec(prompt)?.[0]
    if (plain !== undefined) {
      add(plain)
      at += plain.length
      continue
    }
    const char = prompt[at++]!
    const frame = frames.at(-1)
    if (char === '\\' || (char === '|' && frame === undefined)) return undefined
    if (char === '(' || char === '[') frames.push({ open: char, parts: [[]], separators: [] })
    else if (char === ')' || char === ']') {
      const closed = frame && (char === ')') === (frame.open === '(') ? edit(frame) : undefined
      if (closed === undefined) {
        if (!giveUp()) return undefined
        add(char)
      } else {
        frames.pop()
        add(frame!.separators.length === 0 || frame!.open === '(' ? [closed, char] : closed)
      }
    } else if (frame === undefined) add(char)
    else {
      frame.separators.push(char)
      frame.parts.push([])
    }
  }
  return giveUp() ? { root, changes } : undefined
}

/** A bracket and what follows it, without its end. */
const asText = ({ open, parts, separators }: Frame): Node => [
  open,
  ...parts.flatMap((part, i) => (i === 0 ? [part] : [separators[i - 1]!, part])),
]

/** The number that is all of a part, white space aside. */
function numberIn(part: readonly Node[]): string | undefined {
  const [text = ''] = part
  if (part.length > 1 || typeof text !== 'string') return undefined
  const bare = trimmedStart(trimmedEnd(text))
  return NUMBER.test(bare) ? bare : undefined
}

/** Without recursion: brackets may be nested as deep as a prompt is long. */
function textAt(root: Node, step: number): string {
  const out: string[] = []
  const left: Node[] = [root]
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    if (typeof node === 'string') out.push(node)
    else if ('choose' in node) left.push(node.choose(step))
    else left.push(...[...node].reverse())
  }
  return out.join('')
}
