import { dequantise } from '../tensor/dequantise.js'
import type { Parameter, Program } from '../tensor/program.js'
import { reshape } from '../tensor/reshape.js'
import { sizeOf } from '../tensor/shape.js'
import { apply, type Dtype, parameter, type Tensor } from '../tensor/tensor.js'
import { cast } from '../tensor/unary.js'
import { rewrite } from '../tensor/walk.js'
import { blockSize } from './quantise.js'

/** In how many bits the weights of a network are held in memory. */
export type WeightPrecision = 'f32' | 'f16' | 'int8' | 'int4'

/** How one weight is held. */
export type WeightForm = Extract<Dtype, 'f32' | 'f16' | 'i8' | 'i4'>

/** Weights of fewer numbers take no room that counts: norms, biases, what time and labels become. */
const few = 2 ** 14

/** The form of a parameter's weight under a precision; `half` says that it is stored as float16. */
export function formIn(precision: WeightPrecision, { shape, dtype }: Parameter, half: boolean): WeightForm {
  const plain = half && dtype === 'f32' ? 'f16' : 'f32'
  const size = sizeOf(shape)
  if (precision === 'f32' || dtype !== 'f32' || shape.length < 2 || size < few) return plain
  if (precision === 'f16' || size % blockSize !== 0) return 'f16'
  // With convolutions in 4 bits as well, Stable Diffusion's UNet is off by a fifth.
  return precision === 'int4' && shape.length === 2 ? 'i4' : 'i8'
}

/** The name under which a weight's scales are stored. */
export const scalesOf = (name: string): string => `${name}.scales`

/** The program with parameters of other forms than float32, each made float32 again where it is used. */
export function withStoredForms(program: Program, forms: ReadonlyMap<string, WeightForm>): Program {
  if (forms.size === 0) return program
  const used = new Map<Tensor, Tensor>()
  const parameters = program.parameters.flatMap(p => {
    const form = forms.get(p.name)
    if (form === undefined) return [p]
    const { name, shape, init } = p
    const stored = (name: string, shape: readonly number[], dtype: Dtype): Parameter => {
      const tensor = apply(parameter, [], { name, shape, dtype, init })
      return { name, shape, dtype, init, tensor }
    }
    if (form === 'f16') {
      const half = stored(name, shape, 'f16')
      used.set(p.tensor, cast(half.tensor, 'f32'))
      return [half]
    }
    const blocks = sizeOf(shape) / blockSize
    const numbers = stored(name, [blocks, blockSize], form)
    const scales = stored(scalesOf(name), [blocks], 'f32')
    used.set(p.tensor, reshape(dequantise(numbers.tensor, scales.tensor), shape))
    return [numbers, scales]
  })
  const entries = Object.entries(program.outputs)
  const outputs = rewrite(
    entries.map(([, t]) => t),
    (node, original) => used.get(original) ?? node,
  )
  return { ...program, parameters, outputs: Object.fromEntries(entries.map(([name], i) => [name, outputs[i]!])) }
}
