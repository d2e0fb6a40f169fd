import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { gradientName, gradients } from '../../autodiff/gradients.js'
import { zeros } from '../../nn/initialisers.js'
import { silu } from '../../tensor/activation.js'
import { add, mul, sub } from '../../tensor/binary.js'
import { constant } from '../../tensor/constant.js'
import { conv2d } from '../../tensor/conv.js'
import { evaluate } from '../../tensor/evaluate.js'
import { matmul } from '../../tensor/matmul.js'
import { groupNorm, layerNorm, softmax } from '../../tensor/normalize.js'
import { type Program, trace } from '../../tensor/program.js'
import { max, mean, sum } from '../../tensor/reduce.js'
import { expandTo, reshape, transpose } from '../../tensor/reshape.js'
import { sameShape, sizeOf } from '../../tensor/shape.js'
import { concat, pad, slice, split } from '../../tensor/slice.js'
import { f32, type Tensor } from '../../tensor/tensor.js'
import { exp, neg, square } from '../../tensor/unary.js'
import { topological } from '../../tensor/walk.js'
import { assertClose } from '../../testing/onnx.js'
import { drawnParameters } from '../../testing/parameters.js'
import { drawing, type Sample } from '../../testing/values.js'
import { residualBlock } from '../../unet/residual.js'
import { spatialTransformer } from '../../unet/transformer.js'
import { lower } from '../lower.js'
import type { Target } from '../target.js'
import { settleAxisOrder } from './axis-order.js'
import { recompute } from './recompute.js'
import { regroup } from './regroup.js'
import { simplify } from './simplify.js'
import { widenOperands } from './widen.js'

const training: Target = { device: 'cpu', training: true, contrib: true }

/** Takes numbers from a list to decide what comes next, over and over. */
const chooser = (numbers: readonly number[]) => {
  let i = 0
  return (below: number): number => (numbers[i++ % numbers.length]! * (i + 7)) % below
}

/** One more tensor, made of those that are there: layout changes, elementwise functions, reductions and products. */
function grow(all: readonly Tensor[], choose: (below: number) => number): Tensor {
  const x = all[all.length - 1 - choose(Math.min(all.length, 3))]!
  const rank = x.shape.length
  const axis = choose(rank)
  const others = all.filter(t => sameShape(t.shape, x.shape))
  const other = others[choose(others.length)]!
  switch (choose(14)) {
    case 0:
    case 1: {
      const order = x.shape.map((_, i) => i).sort((a, b) => ((a * 7 + axis * 3) % 5) - ((b * 7 + axis * 3) % 5))
      return transpose(x, order)
    }
    case 2: {
      const size = sizeOf(x.shape)
      const first = [1, 2, 3, 4, 6].filter(n => size % n === 0)[choose(3)] ?? 1
      const second = [1, 2, 3, 5].filter(n => (size / first) % n === 0)[choose(2)] ?? 1
      return reshape(x, [first, second, size / first / second])
    }
    case 3:
      return reshape(x, [...x.shape.slice(0, axis), ...(rank < 5 ? [1] : []), ...x.shape.slice(axis)])
    case 4:
      return add(x, other)
    case 5:
      return mul(sub(x, 0.5), other)
    case 6:
      return neg(silu(x))
    case 7:
      return add(x, max(x, { axes: axis, keep: true }))
    case 8:
      return rank > 1 ? mean(x, { axes: axis }) : expandTo(x, [2, ...x.shape])
    case 9:
      return softmax(x, { axis })
    case 10:
      return concat([x, other], { axis })
    case 11:
      return rank > 1 ? matmul(x, transpose(x)) : square(x)
    case 12:
      return mul(x, constant(0.25, [1]))
    default: {
      const padded = pad(
        x,
        x.shape.map((_, i): [number, number] => (i === axis ? [1, 0] : [0, 0])),
      )
      return slice(padded, { axis, end: x.shape[axis]! })
    }
  }
}

const programs = fc
  .record({
    a: fc.integer({ min: 1, max: 3 }),
    b: fc.integer({ min: 1, max: 4 }),
    c: fc.integer({ min: 2, max: 5 }),
    numbers: fc.array(fc.nat(1000), { minLength: 4, maxLength: 30 }),
    length: fc.integer({ min: 3, max: 16 }),
  })
  .map(({ a, b, c, numbers, length }) => {
    const choose = chooser(numbers)
    const program = trace({ x: f32(a, b, c), y: f32(a, b, c) }, (_, { x, y }) => {
      const all = [x, y]
      for (let i = 0; i < length; i++) {
        const next = grow(all, choose)
        if (sizeOf(next.shape) < 3000) all.push(next)
      }
      const results = all.slice(-3)
      return Object.fromEntries(results.map((t, i) => [`${i}`, t]))
    })
    const samples: Record<string, Sample> = { x: drawing(1).normal(a, b, c), y: drawing(2).normal(a, b, c) }
    return { roots: Object.values(program.outputs), samples }
  })

/** What each pass must leave as it is: the values. */
const passes: Record<string, (roots: readonly Tensor[]) => Tensor[]> = {
  simplify,
  'settleAxisOrder with operators of the runtime': roots => settleAxisOrder(roots, training),
  'settleAxisOrder with standard operators': roots => settleAxisOrder(roots, { ...training, contrib: false }),
  widenOperands,
  'all of them': roots => widenOperands(simplify(settleAxisOrder(simplify(roots), training))),
}

describe('passes over random programs', () => {
  for (const [name, pass] of Object.entries(passes)) {
    test(`${name} changes no value`, () => {
      fc.assert(
        fc.property(programs, ({ roots, samples }) => {
          const wanted = evaluate(roots, samples)
          for (const [i, found] of evaluate(pass(roots), samples).entries()) assertClose(found, wanted[i]!, 1e-9)
        }),
        { numRuns: 300, seed: 42 },
      )
    })
  }

  test('recompute changes no value', () => {
    fc.assert(
      fc.property(programs, fc.nat(), ({ roots, samples }, at) => {
        const forward = topological(roots)[at % topological(roots).length]!
        const wanted = evaluate(roots, samples)
        for (const [i, found] of evaluate(recompute([forward], roots, 1), samples).entries()) {
          assertClose(found, wanted[i]!, 1e-9)
        }
      }),
      { numRuns: 300, seed: 42 },
    )
  })
})

describe('regroup', () => {
  const cases = fc
    .record({
      from: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
      cut: fc.nat(1000),
      keys: fc.array(fc.nat(1000), { minLength: 5, maxLength: 5 }),
    })
    .map(({ from, cut, keys }) => {
      const size = sizeOf(from)
      const divisors = Array.from({ length: size }, (_, i) => i + 1).filter(n => size % n === 0)
      const first = divisors[cut % divisors.length]!
      const rest = divisors.filter(n => (size / first) % n === 0)
      const second = rest[(cut >> 3) % rest.length]!
      const order = from.map((_, i) => i).sort((a, b) => keys[a]! - keys[b]! || a - b)
      return { from, to: [first, second, size / first / second], order }
    })

  test('what it finds is the reshape, without a copy', () => {
    let found = 0
    fc.assert(
      fc.property(cases, ({ from, to, order }) => {
        const regrouped = regroup(from, to, order)
        if (regrouped === undefined) return
        found++
        const data = Float64Array.from({ length: sizeOf(from) }, (_, i) => i)
        const x = constant(data, from)
        const stored = reshape(
          transpose(x, order),
          regrouped.map(axis => to[axis]!),
        )
        const back = transpose(
          stored,
          to.map((_, axis) => regrouped.indexOf(axis)),
        )
        const [wanted, value] = evaluate([reshape(x, to), back])
        assert.deepEqual(value!.data, wanted!.data)
      }),
      { numRuns: 2000, seed: 42 },
    )
    assert.ok(found > 500)
  })

  test('joins and splits runs of neighbours, and nothing else', () => {
    assert.deepEqual(regroup([2, 3, 4, 5], [2, 3, 20], [2, 3, 0, 1]), [2, 0, 1])
    assert.deepEqual(regroup([2, 12, 5], [2, 3, 4, 5], [1, 0, 2]), [1, 2, 0, 3])
    assert.equal(regroup([2, 3, 4], [6, 4], [1, 0, 2]), undefined)
    assert.equal(regroup([2, 3], [3, 2], [1, 0]), undefined)
  })
})

test('between residual blocks nothing is turned: a block more costs no transposes of images', () => {
  const turned = (blocks: number): number => {
    const program = trace({ x: f32(2, 32, 8, 8), emb: f32(2, 16) }, (at, { x, emb }) => {
      let h = x
      for (let i = 0; i < blocks; i++) h = residualBlock(at(`${i}`), h, emb, { out: 32, scaleShift: true })
      return { loss: mean(square(h)) }
    })
    const { outputs } = lower(gradients(program), training)
    return topological(Object.values(outputs)).filter(t => t.op.name === 'transpose' && t.shape.length > 2).length
  }
  assert.equal(turned(3) - turned(2), turned(2) - turned(1))
  const forward = trace({ x: f32(2, 32, 8, 8), emb: f32(2, 16) }, (at, { x, emb }) => {
    const first = residualBlock(at('0'), x, emb, { out: 32, scaleShift: true })
    return residualBlock(at('1'), first, emb, { out: 32, scaleShift: true })
  })
  const images = topological(Object.values(lower(forward, training).outputs)).filter(
    t => t.op.name === 'transpose' && t.shape.length === 4 && sizeOf(t.shape) === 2 * 32 * 64,
  )
  assert.equal(images.length, 3, 'the first image, as it is and normalised, on the way in, and the last on the way out')
})

const network: Program = gradients(
  trace({ x: f32(2, 16, 8, 8) }, (at, { x }) => {
    let h = x
    for (const name of ['a', 'b', 'c']) {
      const [weight, bias] = [at.parameter(`${name}.weight`, [16], zeros), at.parameter(`${name}.bias`, [16], zeros)]
      h = add(
        h,
        conv2d(silu(groupNorm(h, 4, weight, bias)), at.parameter(name, [16, 16, 3, 3], zeros), undefined, {
          padding: 1,
        }),
      )
    }
    const [q, k] = split(layerNorm(reshape(h, [2, 16, 64])), 2, { axis: 1 }) as [Tensor, Tensor]
    return { loss: sum(exp(mul(matmul(softmax(matmul(q, transpose(k))), k), 0.1))) }
  }),
)

test('a transformer over an image turns it into tokens once, and back once', () => {
  const options = {
    heads: 2,
    headChannels: 16,
    depth: 2,
    contextDim: 8,
    disableSelfAttention: false,
    linearProjections: false,
    place: { part: 'middle', block: 0, level: 0 },
    changes: [],
  } as const
  const program = trace({ x: f32(2, 32, 4, 4), context: f32(2, 3, 8) }, (at, { x, context }) =>
    spatialTransformer(at, x, context, options),
  )
  const lowered = lower(program, { ...training, training: false })
  const turned = topological(Object.values(lowered.outputs)).filter(
    ({ op, inputs }) => op.name === 'transpose' && inputs[0]!.op.name !== 'parameter',
  )
  assert.equal(turned.length, 2)
})

test('recompute keeps less between the passes and gives the same gradients', () => {
  const { outputs } = lower(network, { ...training, training: false })
  const forward = [outputs.loss!]
  const backward = Object.keys(outputs).flatMap(name => (name.startsWith(gradientName('')) ? [outputs[name]!] : []))
  const again = recompute(forward, backward, 64)
  const kept = (gradients: readonly Tensor[]): number => {
    const early = new Set(topological(forward))
    const late = topological([...forward, ...gradients]).filter(t => !early.has(t))
    const used = new Set(late.flatMap(t => t.inputs.filter(x => early.has(x) && x.inputs.length > 0)))
    return [...used].reduce((total, t) => total + sizeOf(t.shape), 0)
  }
  assert.ok(kept(again) < 0.7 * kept(backward), `${kept(again)} of ${kept(backward)} numbers are kept`)
  const given = { x: drawing(3).normal(2, 16, 8, 8), ...drawnParameters(network) }
  const wanted = evaluate(backward, given)
  for (const [i, found] of evaluate(again, given).entries()) assertClose(found, wanted[i]!, 1e-9)
})
