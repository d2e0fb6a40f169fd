import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { drawing } from '../../../testing/values.js'
import { blend, cut, grid, type Sides } from './grid.js'

const side = (most: number) => fc.integer({ min: 1, max: most })
const pair = <T>(of: fc.Arbitrary<T>) => fc.tuple(of, of)
const planes = (count: number, [h, w]: Sides) => Float32Array.from(drawing(1).normal(count, h, w).data)

test('windows lie at whole units, reach into one another as far as asked for, and cover all', () => {
  const cases = fc.record({
    units: pair(side(12)),
    window: pair(side(12)),
    unit: side(4),
    overlap: fc.constantFrom(0, 0.25, 0.5, 0.9),
    wraps: pair(fc.boolean()),
  })
  fc.assert(
    fc.property(cases, ({ units, window, unit, overlap, wraps }) => {
      const sides = [units[0] * unit, units[1] * unit] as const
      const inside = [0, 1].map(axis => Math.min(window[axis]!, units[axis]!) * unit) as [number, number]
      const corners = grid(sides, inside, { overlap, unit, wraps })
      for (const axis of [0, 1] as const) {
        const places = [...new Set(corners.map(corner => corner[axis]))]
        const [length, seen] = [sides[axis], inside[axis]]
        const stride = Math.max(unit, Math.floor((seen * (1 - overlap)) / unit) * unit)
        assert.ok(places.every(place => place % unit === 0 && place < length))
        const end = wraps[axis] && seen < length ? length : places.at(-1)!
        for (const [i, place] of places.entries()) assert.ok((places[i + 1] ?? end) - place <= stride)
        if (end !== length) assert.equal(end + seen, length)
      }
    }),
  )
})

test('planes put together of their own windows are the same, with and without ramps, around the ends too', () => {
  const cases = fc.record({ sides: pair(side(9)), window: pair(side(9)), wraps: pair(fc.boolean()), ramp: side(3) })
  fc.assert(
    fc.property(cases, ({ sides, window, wraps, ramp }) => {
      const inside = [0, 1].map(axis => Math.min(window[axis]!, sides[axis]!)) as [number, number]
      const data = planes(2, sides)
      const merged = blend(2, sides, inside, [ramp - 1, ramp])
      for (const corner of grid(sides, inside, { overlap: 0.5, unit: 1, wraps }))
        merged.add(cut(data, sides, inside, corner), corner)
      for (const [i, value] of merged.result().entries()) assert.ok(Math.abs(value - data[i]!) < 1e-6)
    }),
  )
})

test('where windows overlap it is their mean, and with ramps each fades into the next', () => {
  const [sides, window] = [
    [1, 6],
    [1, 4],
  ] as const
  const merged = (ramps?: Sides) => {
    const all = blend(1, sides, window, ramps)
    all.add(new Float32Array(4).fill(0), [0, 0])
    all.add(new Float32Array(4).fill(8), [0, 2])
    return [...all.result()]
  }
  assert.deepEqual(merged(), [0, 0, 4, 4, 8, 8])
  assert.deepEqual(merged([0, 2]), [0, 0, 2, 6, 8, 8])
})
