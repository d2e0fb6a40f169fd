import { SPACES, standing, trimmedEnd } from './python.js'

/** One of several prompts that lead a picture together. */
export interface PromptPhrase {
  readonly text: string
  readonly weight: number
}

const AND = standing('AND')
const WEIGHT = new RegExp(`^[${SPACES}]*([-+]?(?:\\d+\\.?|\\d*\\.\\d+))$`)

/**
 * The prompts between the ANDs of a prompt of A1111's, each with the weight at its end: `a cat :1.2 AND a dog`. White
 * space at their ends goes.
 *
 * @see AUTOMATIC1111/stable-diffusion-webui modules/prompt_parser.py, get_multicond_prompt_list
 * @example promptPhrases('a cat :1.2 AND a dog') // [{ text: 'a cat', weight: 1.2 }, { text: ' a dog', weight: 1 }]
 */
export const promptPhrases = (prompt: string): readonly PromptPhrase[] =>
  prompt.split(AND).map(part => {
    const text = trimmedEnd(part)
    const colon = text.lastIndexOf(':')
    const weight = colon < 0 ? undefined : WEIGHT.exec(text.slice(colon + 1))?.[1]
    return weight === undefined
      ? { text, weight: 1 }
      : { text: trimmedEnd(text.slice(0, colon)), weight: Number(weight) }
  })
