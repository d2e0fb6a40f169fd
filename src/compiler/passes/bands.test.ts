import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conv2d } from '../../nn/conv.js'
import { groupNorm } from '../../nn/norm.js'
import { silu } from '../../tensor/activation.js'
import { evaluate } from '../../tensor/evaluate.js'
import { trace } from '../../tensor/program.js'
import { f32 } from '../../tensor/tensor.js'
import { topological } from '../../tensor/walk.js'
import { assertClose } from '../../testing/onnx.js'
import { drawing } from '../../testing/values.js'
import { inBands } from './bands.js'

const block = (channels: number, height: number, width: number) =>
  trace({ x: f32(1, channels, height, width) }, (at, { x }) =>
    conv2d(at('conv'), silu(groupNorm(at('norm'), x, { groups: 2 })), { out: 2, kernel: 3 }),
  )

test('a block of a large image in bands means the same', () => {
  const { outputs, parameters } = block(2, 19, 5)
  const draw = drawing(3)
  const values = Object.fromEntries(parameters.map(({ name, shape }) => [name, draw.normal(...shape)]))
  const [banded] = inBands(
    [outputs.output!],
    { device: 'cpu', training: false, contrib: true },
    { large: 0, band: 320 },
  )
  assert.equal(topological([banded!]).filter(({ op }) => op.name === 'conv2d').length, 3)
  const [wanted, found] = evaluate([outputs.output!, banded!], { ...values, x: draw.normal(1, 2, 19, 5) })
  assertClose(found!, wanted!, 1e-9)
})

test('only what decides over the peak is cut', () => {
  const convolutions = (height: number) =>
    topological(
      inBands([block(256, height, 512).outputs.output!], { device: 'cpu', training: false, contrib: true }),
    ).filter(({ op }) => op.name === 'conv2d').length
  assert.equal(convolutions(256), 1)
  assert.equal(convolutions(512), 16)
})
