import assert from 'node:assert/strict'
import { test } from 'node:test'
import sharp from 'sharp'
import { chart } from './chart.js'

const series = [1, 2, 4, 8, 16].map((f, i) => ({
  name: `f = ${f}`,
  points: [1, 2, 4, 8].map(minutes => [minutes, 100 / (i + minutes)]),
}))

test('a chart is an SVG with a line for each series, its points from left to right and the larger higher', async () => {
  const svg = chart([{ title: 'a < b & c', x: 'time', y: 'distance', series }])
  const lines = [...svg.matchAll(/<polyline points="([^"]+)"/g)].map(([, points]) =>
    points.split(' ').map(pair => pair.split(',').map(Number)),
  )
  assert.equal(lines.length, series.length)
  for (const points of lines) {
    assert.ok(points.every(([x, y]) => Number.isFinite(x) && Number.isFinite(y)))
    // Doublings are equally far on a logarithmic axis; y of an SVG points down.
    const [first, second, third] = points.map(([x]) => x)
    assert.ok(Math.abs(third - second - (second - first)) < 0.2 && second > first)
    assert.deepEqual(
      points.map(([, y]) => y),
      points.map(([, y]) => y).toSorted((a, b) => a - b),
    )
  }
  for (const { name } of series) assert.ok(svg.includes(`>${name}</text>`))
  const { format, width } = await sharp(Buffer.from(svg)).metadata()
  assert.deepEqual([format, width], ['svg', 460])
})

test('a series of one point is a dot alone', () => {
  const svg = chart([{ title: '', x: '', y: '', series: [{ name: 'a', points: [[3, 2]] }] }])
  assert.ok(svg.includes('<circle') && !svg.includes('<polyline') && !svg.includes('NaN'))
})
