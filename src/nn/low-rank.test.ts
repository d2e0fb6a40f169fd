import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkpoint } from '../autodiff/checkpoint.js'
import { gradients } from '../autodiff/gradients.js'
import { evaluate } from '../tensor/evaluate.js'
import { type Program, reparameterise, trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { reshape } from '../tensor/reshape.js'
import { concat } from '../tensor/slice.js'
import { f32, i64, type Tensor, type Value } from '../tensor/tensor.js'
import { square } from '../tensor/unary.js'
import { drawnParameters } from '../testing/parameters.js'
import { drawing } from '../testing/values.js'
import { conv2d } from './conv.js'
import { embedding } from './embedding.js'
import { linear } from './linear.js'
import { type LowRankOptions, lowRank } from './low-rank.js'

/** A convolution and a linear layer, the second within a region that training computes again. */
const plain = trace({ x: f32(2, 3, 4, 4) }, (at, { x }) => {
  const h = conv2d(at('conv'), x, { out: 5, kernel: 3 })
  const head = checkpoint((h: Tensor) => linear(at('head'), reshape(h, [2, 5, 16]), { out: 6 }))
  const output = at('head').mark(head(h))
  return { output, loss: mean(square(output)) }
})
const adapted = (options: LowRankOptions): Program =>
  reparameterise(plain, (at, { name, tensor }) =>
    name.endsWith('.weight') ? lowRank(at(name.replace(/\.weight$/, '')), tensor, options) : undefined,
  )
const x = drawing(7).normal(2, 3, 4, 4)
const run = ({ outputs }: Program, values: Record<string, Value>) => evaluate([outputs.output!], { x, ...values })[0]!

test('an adapted network has the original parameters and the adapters, and is at first the original to the bit', () => {
  const program = adapted({ rank: 2 })
  const added = program.parameters.slice(plain.parameters.length)
  assert.deepEqual(program.parameters.slice(0, plain.parameters.length), plain.parameters)
  assert.deepEqual(
    added.map(({ name, shape, init }) => [name, shape, init]),
    [
      ['conv.lora_down.weight', [2, 3, 3, 3], { kind: 'uniform', bound: 1 / Math.sqrt(27) }],
      ['conv.lora_up.weight', [5, 2, 1, 1], { kind: 'constant', value: 0 }],
      ['head.lora_down.weight', [2, 16], { kind: 'uniform', bound: 1 / 4 }],
      ['head.lora_up.weight', [6, 2], { kind: 'constant', value: 0 }],
    ],
  )
  const values = drawnParameters(program)
  for (const { name, shape } of added)
    if (/up/.test(name)) values[name] = { shape, data: values[name]!.data.map(() => 0) }
  assert.deepEqual(run(program, values).data, run(plain, values).data)
  assert.notEqual(program.marks.head, plain.marks.head)
})

test('a trained adapter is the network with the product added to its weights', () => {
  const program = adapted({ rank: 2, alpha: 3 })
  const values = drawnParameters(program)
  const up = values['head.lora_up.weight']!.data
  const down = values['head.lora_down.weight']!.data
  const weight = values['head.weight']!.data.map((w, i) => {
    const [row, column] = [Math.floor(i / 16), i % 16]
    return w + 1.5 * (up[2 * row]! * down[column]! + up[2 * row + 1]! * down[16 + column]!)
  })
  const same = { ...values, 'head.weight': { shape: [6, 16], data: weight } }
  const conv = reparameterise(plain, (at, { name, tensor }) =>
    name === 'conv.weight' ? lowRank(at('conv'), tensor, { rank: 2, alpha: 3 }) : undefined,
  )
  const merged = run(conv, same).data
  assert.ok(run(program, values).data.every((v, i) => Math.abs(v - merged[i]!) < 1e-12))
})

/** Holds the gradients of the loss with respect to some parameters against central differences along a direction. */
function checkGradients(program: Program, names: readonly string[]): void {
  const values = { x, ...drawnParameters(program) } as Record<string, Value>
  const { loss, ...outputs } = gradients(program, names).outputs
  for (const name of names) {
    const [gradient] = evaluate([outputs[`gradient:${name}`]!], values)
    const { shape, data } = values[name]!
    const direction = drawing(3).normal(...shape).data
    const at = (step: number) =>
      evaluate([loss!], { ...values, [name]: { shape, data: data.map((v, i) => v + step * direction[i]!) } })[0]!
        .data[0]!
    const numeric = (at(1e-4) - at(-1e-4)) / 2e-4
    const analytic = gradient!.data.reduce((sum, g, i) => sum + g * direction[i]!, 0)
    assert.ok(Math.abs(numeric - analytic) < 1e-6 * Math.max(1, Math.abs(analytic)), `${name}: ${analytic}, ${numeric}`)
  }
}

test('gradients of adapters are those of finite differences', () => {
  checkGradients(
    adapted({ rank: 2, alpha: 1 }),
    ['conv', 'head'].flatMap(at => [`${at}.lora_down.weight`, `${at}.lora_up.weight`]),
  )
  checkGradients(adapted({ rank: 2, decompose: true }), ['conv.dora_scale', 'head.dora_scale'])
})

test('a decomposed weight of its own length is the original, and turns without growing', () => {
  const program = adapted({ rank: 2, decompose: true })
  const values = drawnParameters(program)
  const lengths = (of: ArrayLike<number>, rows: number) =>
    Float64Array.from({ length: rows }, (_, row) => {
      const width = of.length / rows
      return Math.hypot(...Array.from(of).slice(row * width, (row + 1) * width))
    })
  for (const [at, rows] of [
    ['conv', 5],
    ['head', 6],
  ] as const) {
    const scale = `${at}.dora_scale`
    values[scale] = { shape: values[scale]!.shape, data: lengths(values[`${at}.weight`]!.data, rows) }
  }
  const still = { ...values }
  for (const name of Object.keys(values)) {
    if (name.endsWith('lora_up.weight')) still[name] = { ...values[name]!, data: values[name]!.data.map(() => 0) }
  }
  const [ours, original] = [run(program, still).data, run(plain, still).data]
  assert.ok(ours.every((v, i) => Math.abs(v - original[i]!) < 1e-12))

  const weight = reparameterise(
    trace({}, at => at('head').parameter('weight', [6, 16], { kind: 'constant', value: 0 })),
    (at, { tensor }) => lowRank(at('head'), tensor, { rank: 2, decompose: true }),
  )
  const moved = evaluate([weight.outputs.output!], values)[0]!.data
  assert.ok(lengths(moved, 6).every((length, row) => Math.abs(length - values['head.dora_scale']!.data[row]!) < 1e-12))
})

test('what has not the shape of its parameter is refused, but a table may grow', () => {
  const replaced = (expression: (tensor: Tensor) => Tensor) =>
    reparameterise(plain, (_, { name, tensor }) => (name === 'head.weight' ? expression(tensor) : undefined))
  assert.throws(
    () => replaced(t => reshape(t, [16, 6])),
    /"head.weight" is f32 \[6, 16\], what is to replace it f32 \[16, 6\]/,
  )
  const table = trace({ ids: i64(2) }, (at, { ids }) => embedding(at('table'), ids, { count: 3, width: 2 }))
  const grown = reparameterise(table, (at, { tensor }) =>
    concat([tensor, at('table').parameter('more', [1, 2], { kind: 'constant', value: 0 })], { axis: 0 }),
  )
  const values: Record<string, Value> = {
    ids: { shape: [2], data: Float64Array.of(3, 0) },
    ...drawnParameters(grown),
  }
  const rows = evaluate([grown.outputs.output!], values)[0]!.data
  assert.deepEqual([...rows], [...values['table.more']!.data, ...values['table.weight']!.data.slice(0, 2)])
})
