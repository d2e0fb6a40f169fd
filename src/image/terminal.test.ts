import assert from 'node:assert/strict'
import test from 'node:test'
import { gridOfImages } from './grid.js'
import type { Image } from './image.js'
import { decodePng } from './png-decode.js'
import { detectTerminalPictures, terminalPicture } from './terminal.js'

const esc = '\x1b'
const image: Image = { data: Uint8Array.from({ length: 48 }, (_, i) => i * 5), width: 4, height: 4, channels: 3 }

test('terminals are known by what they say', () => {
  const detect = (env: Record<string, string>, isTerminal = true) => detectTerminalPictures({ env, isTerminal })
  assert.equal(detect({ TERM: 'xterm-kitty' }), 'kitty')
  assert.equal(detect({ TERM: 'xterm-kitty' }, false), 'none')
  assert.equal(detect({ TERM: 'tmux-256color', KITTY_WINDOW_ID: '1', COLORTERM: 'truecolor' }), 'blocks')
  assert.equal(detect({ TERM_PROGRAM: 'iTerm.app' }), 'iterm2')
  assert.equal(detect({ TERM: 'xterm-256color' }), 'none')
  assert.equal(detect({ COLORTERM: 'truecolor', NO_COLOR: '1' }), 'none')
})

test('kitty and iTerm2 get the PNG whole', async () => {
  const large: Image = {
    data: Uint8Array.from({ length: 100 * 100 * 3 }, (_, i) => (i * i * 7919) >> 5),
    width: 100,
    height: 100,
    channels: 3,
  }
  const text = await terminalPicture(large, 'kitty')
  const pieces = text.split(`${esc}_G`).slice(1)
  const base64 = pieces.map(piece => piece.split(';')[1]!.split(esc)[0]!)
  assert.ok(base64.length > 1 && base64.every(data => data.length <= 4096))
  pieces.forEach((piece, i) => void assert.match(piece, i + 1 < pieces.length ? /^[^;]*m=1;/ : /^[^;]*m=0;/))
  assert.deepEqual(await decodePng(Buffer.from(base64.join(''), 'base64')), large)
  const [begin, data] = (await terminalPicture(image, 'iterm2')).split('\x07')[0]!.split(':')
  assert.ok(begin!.startsWith(`${esc}]1337;File=inline=1`))
  assert.deepEqual(await decodePng(Buffer.from(data!, 'base64')), image)
})

test('blocks hold two pixels a character, shrunk to the width that is there', async () => {
  const full = (await terminalPicture(image, 'blocks')).split('\n')
  assert.equal(full.length, 3)
  assert.ok(full[0]!.startsWith('\x1b[38;2;0;5;10;48;2;60;65;70m▀'))
  const small = (await terminalPicture(image, 'blocks', { columns: 2 })).split('\n')
  assert.equal(small[0]!.split('▀').length, 3)
  assert.equal(await terminalPicture(image, 'none'), '')
})

test('a grid lays pictures row by row', () => {
  const one = (value: number): Image => ({ data: new Uint8Array(3).fill(value), width: 1, height: 1, channels: 3 })
  const grid = gridOfImages([one(1), one(2), one(3)], { columns: 2, gap: 1, background: [9, 9, 9] })
  const reds = [...grid.data].filter((_, i) => i % 3 === 0)
  assert.deepEqual([grid.width, grid.height], [5, 5])
  assert.deepEqual(reds, [9, 9, 9, 9, 9, 9, 1, 9, 2, 9, 9, 9, 9, 9, 9, 9, 3, 9, 9, 9, 9, 9, 9, 9, 9])
  assert.throws(() => gridOfImages([]), RangeError)
})
