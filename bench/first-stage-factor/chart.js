const width = 460
const height = 320
const margin = { left: 62, right: 18, top: 34, bottom: 52 }
// Both are seen on white and on black.
const ink = '#808080'
const colours = ['#d1495b', '#c98a00', '#3a9d5d', '#2f86c9', '#9467bd', '#7f6a55']

const escaped = text => String(text).replace(/[&<>"]/g, char => `&#${char.charCodeAt(0)};`)
const label = (x, y, text, more = '') => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(text)}</text>`
const line = (x1, y1, x2, y2, more = '') =>
  `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${ink}" ${more}/>`
const rounded = value => String(Number(value.toPrecision(3)))

/** Round steps from 0 to above the largest value. */
function linearTicks(largest) {
  const rough = largest / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= rough)
  return Array.from({ length: Math.ceil(largest / step) + 1 }, (_, i) => i * step)
}

/** One, two and five times the powers of ten within a range. */
const logTicks = (least, most) =>
  Array.from({ length: 13 }, (_, i) => 10 ** (i - 6))
    .flatMap(power => [power, 2 * power, 5 * power])
    .filter(tick => tick >= least * 0.999 && tick <= most * 1.001)

/** One panel: x logarithmic, y from 0 on; a line with dots for each series. */
function panel({ title, x, y, series }, left) {
  const points = series.flatMap(one => one.points)
  const [least, most] = [Math.min, Math.max].map(of => of(...points.map(([value]) => value)))
  const [from, to] = [Math.log(least) - 0.1, Math.log(most) + 0.1]
  const ticks = linearTicks(Math.max(...points.map(([, value]) => value)))
  const atX = value =>
    left + margin.left + ((Math.log(value) - from) / (to - from)) * (width - margin.left - margin.right)
  const atY = value => height - margin.bottom - (value / ticks.at(-1)) * (height - margin.top - margin.bottom)
  const [begin, end, floor] = [left + margin.left, left + width - margin.right, atY(0)]
  const middle = (begin + end) / 2
  const side = `transform="rotate(-90 ${left + 16} ${(atY(ticks.at(-1)) + floor) / 2})" text-anchor="middle"`
  const drawn = series.map(({ points, colour }) => {
    const at = points.map(([a, b]) => [atX(a).toFixed(1), atY(b).toFixed(1)])
    const dots = at.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`)
    const path = `<polyline points="${at.map(pair => pair.join()).join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`
    return [...(at.length > 1 ? [path] : []), ...dots].join('')
  })
  return [
    label(middle, 20, title, 'text-anchor="middle" font-weight="bold"'),
    ...ticks.map(tick => line(begin, atY(tick), end, atY(tick), 'stroke-opacity="0.25"')),
    ...ticks.map(tick => label(begin - 6, atY(tick) + 4, rounded(tick), 'text-anchor="end"')),
    line(begin, floor, end, floor),
    ...logTicks(least, most).map(tick => line(atX(tick), floor, atX(tick), floor + 4)),
    ...logTicks(least, most).map(tick => label(atX(tick), floor + 18, rounded(tick), 'text-anchor="middle"')),
    label(middle, height - 12, x, 'text-anchor="middle"'),
    label(left + 16, (atY(ticks.at(-1)) + floor) / 2, y, side),
    ...drawn,
  ]
}

/**
 * A drawing of panels side by side as SVG, from plain data: each has `title`, what `x` (logarithmic, positive) and `y`
 * (linear, from 0) are, and `series` of a name and [x, y] points. Series of one name have one colour, told in a legend.
 */
export function chart(panels) {
  const names = [...new Set(panels.flatMap(({ series }) => series.map(({ name }) => name)))]
  const colourOf = name => colours[names.indexOf(name) % colours.length]
  const whole = panels.length * width
  const legend = names.map((name, i) => {
    const at = whole / 2 + (i - names.length / 2) * 90
    return `<circle cx="${at}" cy="${height + 12}" r="5" fill="${colourOf(name)}"/>${label(at + 10, height + 16, name)}`
  })
  const drawn = panels.flatMap((one, i) => {
    const series = one.series.map(({ name, points }) => ({ points, colour: colourOf(name) }))
    return panel({ ...one, series }, i * width)
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${whole} ${height + 30}" font-family="sans-serif" font-size="12" fill="${ink}">
${[...drawn, ...legend].join('\n')}
</svg>
`
}
