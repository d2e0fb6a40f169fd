import assert from 'node:assert/strict'
import { test } from 'node:test'
import { edges } from './edges.js'

/** A grey picture of 8x8 pixels from a function of its positions, 0 to 255. */
function picture(value: (x: number, y: number) => number): Float32Array {
  const grey = Float32Array.from({ length: 64 }, (_, i) => value(i % 8, Math.floor(i / 8)) / 127.5 - 1)
  return Float32Array.from([...grey, ...grey, ...grey])
}
const shown = (found: Float32Array) =>
  Array.from({ length: 8 }, (_, y) => [...found.slice(8 * y, 8 * y + 8)].map(v => (v ? '#' : '.')).join(''))

test('a step is a line of one pixel, upright, level or slanted', () => {
  const upright = shown(
    edges(
      picture(x => (x < 4 ? 0 : 255)),
      8,
      8,
    ),
  )
  assert.deepEqual(upright, Array(8).fill('...#....'))
  const level = shown(
    edges(
      picture((_, y) => (y < 4 ? 0 : 255)),
      8,
      8,
    ),
  )
  assert.deepEqual(level, [...Array(3).fill('........'), '########', ...Array(4).fill('........')])
  const slanted = shown(
    edges(
      picture((x, y) => (x + y < 8 ? 0 : 255)),
      8,
      8,
    ),
  )
  for (const [y, line] of slanted.entries()) assert.ok(/^\.*#{0,2}\.*$/.test(line), `${y}: ${line}`)
  assert.ok(slanted.join('').includes('#'))
})

test('a weak edge counts where it goes on from a strong one', () => {
  // Along the line the step sinks from 60 to 32, its gradient from 240 to 128, which is between the thresholds.
  const fading = edges(
    picture((x, y) => (x < 4 ? 0 : 60 - 4 * y)),
    8,
    8,
  )
  assert.deepEqual(shown(fading), Array(8).fill('....#...'), 'on the lit side, which falls downwards as well')
  assert.ok(
    edges(
      picture(x => (x < 4 ? 0 : 30)),
      8,
      8,
    ).every(v => v === 0),
  )
  assert.ok(
    edges(
      picture(x => (x < 4 ? 0 : 30)),
      8,
      8,
      { high: 110 },
    ).some(v => v === 1),
  )
  assert.ok(
    edges(
      picture(() => 99),
      8,
      8,
    ).every(v => v === 0),
  )
})

test('numbers that are no picture are refused', () => {
  assert.throws(() => edges(new Float32Array(10), 2, 2), /10 numbers are no picture of 3 channels and 2x2/)
})
