import { flatten, type Image } from './image.js'
import { encodePng } from './png-encode.js'
import { resizeImage } from './resize.js'

/** How a terminal shows pictures: by kitty's or iTerm2's escape sequences, in half-block characters, or not at all. */
export type TerminalPictures = 'kitty' | 'iterm2' | 'blocks' | 'none'

/** What the terminal says of itself: environment variables, and whether output goes to one at all. */
export interface TerminalFacts {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly isTerminal: boolean
}

/** Which way of showing pictures a terminal announces; unknown ones get `blocks` only if they say they have true colour. */
export function detectTerminalPictures({ env, isTerminal }: TerminalFacts): TerminalPictures {
  if (!isTerminal || env.TERM === 'dumb' || env.NO_COLOR) return 'none'
  const program = env.TERM_PROGRAM ?? ''
  // Multiplexers swallow the sequences of the terminal behind them, whose variables they hand on.
  if (!env.TMUX && !/^(screen|tmux)/.test(env.TERM ?? '')) {
    if (env.KITTY_WINDOW_ID || env.TERM === 'xterm-kitty' || /^ghostty$/i.test(program)) return 'kitty'
    if (/^(iTerm\.app|WezTerm|mintty)$/.test(program) || env.LC_TERMINAL === 'iTerm2') return 'iterm2'
  }
  return /^(truecolor|24bit)$/.test(env.COLORTERM ?? '') ? 'blocks' : 'none'
}

/**
 * A picture as text for a terminal, ending with a new line; '' where the terminal shows none.
 *
 * Blocks are at most `columns` wide: two pixels a character, one above the other.
 *
 * @example process.stderr.write(await terminalPicture(image, detectTerminalPictures({ env, isTerminal }), { columns: 60 }))
 */
export async function terminalPicture(
  image: Image,
  pictures: TerminalPictures,
  { columns = 64 }: { columns?: number } = {},
): Promise<string> {
  if (pictures === 'none') return ''
  if (pictures === 'blocks') return blocks(flatten(image), columns)
  const bytes = await encodePng(image)
  return pictures === 'kitty' ? kitty(base64(bytes)) : iterm2(base64(bytes), bytes.length)
}

/** https://sw.kovidgoyal.net/kitty/graphics-protocol/: a PNG (f=100) to show at once (a=T), in pieces of 4096 bytes. */
function kitty(data: string): string {
  const pieces = data.match(/.{1,4096}/g) ?? []
  const sequences = pieces.map((piece, i) => {
    const more = `m=${i + 1 < pieces.length ? 1 : 0}`
    // q=2: no answers, which would end up in the shell's input.
    return `\x1b_G${i === 0 ? `a=T,f=100,q=2,${more}` : more};${piece}\x1b\\`
  })
  return `${sequences.join('')}\n`
}

/** https://iterm2.com/documentation-images.html */
function iterm2(data: string, size: number): string {
  return `\x1b]1337;File=inline=1;size=${size};preserveAspectRatio=1:${data}\x07\n`
}

/** The upper half of a cell is the character's colour, the lower half its background. */
function blocks(image: Image, columns: number): string {
  const scale = Math.min(1, Math.max(1, columns) / image.width)
  const width = Math.max(1, Math.round(image.width * scale))
  const rows = Math.max(1, Math.round((image.height * scale) / 2))
  const { data } = resizeImage(image, width, rows * 2, { filter: 'box' })
  const colour = (x: number, y: number) => {
    const i = (y * width + x) * 3
    return `${data[i]};${data[i + 1]};${data[i + 2]}`
  }
  let text = ''
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < width; x++) text += `\x1b[38;2;${colour(x, 2 * row)};48;2;${colour(x, 2 * row + 1)}m▀`
    text += '\x1b[0m\n'
  }
  return text
}

function base64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096))
  return btoa(text)
}
