import { LatentkitError } from '../../platform/errors.js'

/** Prompts of people are far shorter; longer ones would take some of the readers quadratic time. */
const LONGEST = 2 ** 16

/** The error of a prompt: where in it, what is there and what was wanted. */
export const promptError = (text: string, at: number, found: string, wanted: string) =>
  new LatentkitError(`prompt: at character ${at + 1}, ${excerpt(text, at)}: ${found}; ${wanted}`)

const excerpt = (text: string, at: number) => {
  const [from, to] = [Math.max(0, at - 20), Math.min(text.length, at + 20)]
  return JSON.stringify(`${from > 0 ? '…' : ''}${text.slice(from, to)}${to < text.length ? '…' : ''}`)
}

/** Throws for a prompt that is too long to be one. */
export function checkLength(prompt: string): void {
  if (prompt.length > LONGEST)
    throw new LatentkitError(`prompt: found ${prompt.length} characters, wanted at most ${LONGEST}; shorten it`)
}
