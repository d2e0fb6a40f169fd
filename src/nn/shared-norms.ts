import { add, div, mul, sub } from '../tensor/binary.js'
import type { Program } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { reshape, unsqueeze } from '../tensor/reshape.js'
import { concat, split } from '../tensor/slice.js'
import { apply, f32, input, type Tensor } from '../tensor/tensor.js'
import { sqrt, square } from '../tensor/unary.js'
import { rewrite } from '../tensor/walk.js'

/** Names of the statistics that a program with shared norms takes; those that it gives have `_own` behind. */
export const sharedNorms = ({ inputs }: Program): string[] =>
  Object.keys(inputs).filter(name => /^norm_\d+$/.test(name))

/**
 * The program with group norms by mean and variance that are handed in, so far as the input `shared` [1] says: at 0 by
 * their own, at 1 by the others', so that parts of a picture are normalised as the whole is. Mean and variance of each
 * norm, `norm_0`, ... [batch, groups, 2], are inputs, and its own are outputs, `norm_0_own`, ...
 */
export function withSharedNorms(program: Program): Program {
  const inputs: Record<string, Tensor> = {}
  const take = (name: string, ...shape: number[]) => {
    inputs[name] = apply(input, [], { name, ...f32(...shape) })
    return inputs[name]
  }
  const shared = take('shared', 1)
  const own: Record<string, Tensor> = {}
  const names = Object.keys(program.outputs)
  const tensors = rewrite(Object.values(program.outputs), ({ op, inputs: [x, weight, bias], attributes }) => {
    if (op.name !== 'groupNorm') return undefined
    const { groups, epsilon } = attributes as { groups: number; epsilon: number }
    const name = `norm_${Object.keys(own).length}`
    const [batch, channels, ...rest] = x!.shape as [number, number, ...number[]]
    const pixels = rest.reduce((a, b) => a * b, 1)
    const rows = reshape(x!, [batch, groups, (channels / groups) * pixels])
    const centre = mean(rows, { axes: [2], keep: true })
    const mine = concat([centre, mean(square(sub(rows, centre)), { axes: [2], keep: true })], { axis: 2 })
    own[`${name}_own`] = mine
    const used = add(mine, mul(shared, sub(take(name, batch, groups, 2), mine)))
    const [average, variance] = split(used, 2, { axis: 2 }) as [Tensor, Tensor]
    const affine = [groups, channels / groups, 1]
    const scale = mul(unsqueeze(div(1, sqrt(add(variance, epsilon))), 3), reshape(weight!, affine))
    const images = reshape(x!, [batch, groups, channels / groups, pixels])
    const shift = sub(reshape(bias!, affine), mul(unsqueeze(average, 3), scale))
    return reshape(add(mul(images, scale), shift), x!.shape)
  })
  return {
    ...program,
    inputs: { ...program.inputs, ...inputs },
    outputs: { ...Object.fromEntries(names.map((name, i) => [name, tensors[i]!])), ...own },
    marks: {},
  }
}
