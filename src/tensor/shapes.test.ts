import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testOperation } from '../testing/operation.js'
import { matmul } from './matmul.js'
import { trace } from './program.js'
import { max, mean, min, sum, sumTo } from './reduce.js'
import { expandTo, reshape, transpose, unsqueeze } from './reshape.js'
import { open } from './shape.js'
import { concat, flip, pad, slice, split } from './slice.js'
import { f32, i64 } from './tensor.js'

const cube = { n: [1, 3], c: [1, 4], k: [1, 4] } as const

for (const axes of [[2], [1, 2], [-1, 1]]) {
  for (const [name, reduce] of Object.entries({ sum, mean })) {
    testOperation(`${name} over [${axes}]`, cube, ({ n, c, k }, draw) => ({
      inputs: { x: draw.normal(n, c, k) },
      build: ({ x }) => reduce(x!, { axes }),
      batched: ['x'],
    }))
  }
  for (const [name, reduce] of Object.entries({ max, min })) {
    testOperation(`${name} over [${axes}]`, cube, ({ n, c, k }, draw) => ({
      inputs: { x: draw.distinct(n, c, k) },
      build: ({ x }) => reduce(x!, { axes, keep: true }),
      batched: ['x'],
    }))
  }
}
testOperation('sumTo', cube, ({ n, c, k }, draw) => ({
  inputs: { x: draw.normal(n, c, k) },
  build: ({ x }) => sumTo(x!, [c, 1]),
}))
testOperation('reshape, transpose, unsqueeze', cube, ({ n, c, k }, draw) => ({
  inputs: { x: draw.normal(n, c, k) },
  build: ({ x }) => transpose(unsqueeze(reshape(x!, [x!.shape[0]!, c * k]), 1), [2, 0, 1]),
  batched: ['x'],
}))
testOperation('expandTo', cube, ({ n, c, k }, draw) => ({
  inputs: { x: draw.normal(n, 1, k) },
  build: ({ x }) => expandTo(x!, [x!.shape[0]!, c, k]),
  batched: ['x'],
}))
testOperation('matmul', { ...cube, m: [1, 4], way: [0, 2] }, ({ n, c, k, m, way }, draw) => ({
  inputs: {
    x: draw.normal(n, c, k),
    y: draw.normal(
      ...[
        [n, k, m],
        [1, k, m],
        [k, m],
      ][way]!,
    ),
  },
  build: ({ x, y }) => matmul(x!, y!),
  batched: way === 0 ? ['x', 'y'] : ['x'],
}))

testOperation('slice', { n: [1, 3], size: [1, 9], start: [0, 8], span: [1, 9], step: [1, 4] }, (sizes, draw) => {
  const start = Math.min(sizes.start, sizes.size - 1)
  const end = Math.min(start + sizes.span, sizes.size)
  return {
    inputs: { x: draw.normal(sizes.n, sizes.size, 2) },
    build: ({ x }) => slice(x!, { axis: 1, start, end, step: sizes.step }),
    batched: ['x'],
  }
})
testOperation('split and concat', cube, ({ n, c, k }, draw) => ({
  inputs: { x: draw.normal(n, c + k, 2), y: draw.normal(n, 3 * c, 2) },
  build: ({ x, y }) => {
    const [a, b] = split(x!, [c, k], { axis: 1 })
    const [p, q, r] = split(y!, 3, { axis: -2 })
    return concat([r!, b!, p!, a!, q!], { axis: 1 })
  },
  batched: ['x', 'y'],
}))
testOperation('split and concat of the batch', cube, ({ n, c }, draw) => ({
  inputs: { x: draw.normal(n, c) },
  build: ({ x }) => {
    const [a, b] = split(concat([x!, flip(x!, [1])], { axis: 0 }), 2, { axis: 0 })
    return concat([b!, a!, b!], { axis: 1 })
  },
  batched: ['x'],
}))
testOperation('pad', { ...cube, before: [0, 2], after: [0, 2] }, ({ n, c, k, before, after }, draw) => ({
  inputs: { x: draw.normal(n, c, k) },
  build: ({ x }) =>
    pad(
      x!,
      [
        [0, 0],
        [after, before],
        [before, after],
      ],
      { value: 1.5 },
    ),
  batched: ['x'],
}))
testOperation('flip', cube, ({ n, c, k }, draw) => ({
  inputs: { x: draw.normal(n, c, k) },
  build: ({ x }) => flip(x!, [1, -1]),
  batched: ['x'],
}))

test('refuses what does not fit', () => {
  trace({ x: f32(2, 6), y: f32(3, 4), k: i64(2, 6), b: f32(open, 4) }, (_, { x, y, k, b }) => {
    assert.throws(
      () => slice(x, { axis: 1, start: 4, end: 9 }),
      /slice: 4 to 9 in steps of 1 does not fit axis 1 of \[2, 6\]/,
    )
    assert.throws(() => slice(b, { axis: 0, start: 1, end: 2 }), /slice: axis 0 of \[batch, 4\] is open/)
    assert.throws(() => slice(x, { axis: 2 }), /slice: axis 2 does not exist in a tensor of rank 2/)
    assert.throws(() => split(x, 4, { axis: 1 }), /split: axis 1 of \[2, 6\] has \[6\] elements, which 4 equal parts/)
    assert.throws(() => split(x, [1, 2], { axis: 1 }), /parts of \[1, 2\] do not fill/)
    assert.throws(() => split(b, [-1, -1, 1], { axis: 0 }), /is open: split it into a number of equal parts/)
    assert.throws(() => concat([x, y], { axis: 0 }), /concat: \[2, 6\] and \[3, 4\] do not fit along axis 0/)
    assert.throws(() => concat([x, k], { axis: 0 }), /concat: dtypes f32 and i64 differ/)
    assert.throws(() => concat([y, b], { axis: 0 }), /axis 0 is open in one of \[3, 4\] and \[batch, 4\]/)
    assert.throws(() => concat([], { axis: 0 }), /no tensors were given/)
    assert.throws(() => pad(x, [[1, 1]]), /pad: widths \[\[1,1\]\] do not fit \[2, 6\]/)
    assert.throws(
      () =>
        pad(b, [
          [1, 0],
          [0, 0],
        ]),
      /pad: axis 0 of \[batch, 4\] is open/,
    )
    assert.throws(() => reshape(x, [5, 2]), /reshape: \[2, 6\] has \[12\] elements and \[5, 2\] wants \[10\]/)
    assert.throws(() => transpose(x, [0, 0]), /transpose: \[0,0\] is no order/)
    assert.throws(() => expandTo(x, [2, 7]), /do not broadcast/)
    assert.throws(() => matmul(x, y), /matmul: \[2, 6\] times \[3, 4\] does not fit/)
    assert.throws(() => mean(b, { axes: 0 }), /is open; reduce closed axes only/)
    return x
  })
})
