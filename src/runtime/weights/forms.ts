import { add } from '../../tensor/binary.js'
import { dequantise } from '../../tensor/dequantise.js'
import type { Parameter, Program } from '../../tensor/program.js'
import { reshape } from '../../tensor/reshape.js'
import { sizeOf } from '../../tensor/shape.js'
import { apply, type Dtype, parameter, type Tensor } from '../../tensor/tensor.js'
import { cast } from '../../tensor/unary.js'
import { rewrite } from '../../tensor/walk.js'
import type { BlockForm } from '../../weights/blocks.js'

/** How one weight is held: as numbers, or as whole numbers in blocks. */
export type WeightForm = 'f32' | 'f16' | BlockForm

/** The dtype of a form's whole numbers. */
const dtypeOf = ({ bits, offset }: BlockForm): Dtype => (bits === 8 ? 'i8' : offset ? 'u4' : 'i4')

/** The parameters that hold a weight in blocks: numbers, scales, and offsets where the form has them. */
export function blockParameters({ name, shape, init }: Parameter, form: BlockForm): Parameter[] {
  const blocks = sizeOf(shape) / form.size
  const all = [
    [name, [blocks, form.size], dtypeOf(form)],
    [`${name}.scales`, [blocks], 'f32'],
    ...(form.offset ? [[`${name}.offsets`, [blocks, 1], 'f32'] as const] : []),
  ] as const
  return all.map(([name, shape, dtype]) => stored(name, shape, dtype, init))
}

function stored(name: string, shape: readonly number[], dtype: Dtype, init: Parameter['init']): Parameter {
  return { name, shape, dtype, init, tensor: apply(parameter, [], { name, shape, dtype, init }) }
}

/** The program with parameters of other forms than float32, each made float32 again where it is used. */
export function withStoredForms(program: Program, forms: ReadonlyMap<string, WeightForm>): Program {
  if (forms.size === 0) return program
  const used = new Map<Tensor, Tensor>()
  const parameters = program.parameters.flatMap(p => {
    const form = forms.get(p.name)
    if (form === undefined || form === 'f32') return [p]
    if (form === 'f16') {
      const half = stored(p.name, p.shape, 'f16', p.init)
      used.set(p.tensor, cast(half.tensor, 'f32'))
      return [half]
    }
    const all = blockParameters(p, form)
    const [numbers, scales, offsets] = all.map(({ tensor }) => tensor)
    const scaled = dequantise(numbers!, scales!)
    used.set(p.tensor, reshape(offsets ? add(scaled, offsets) : scaled, p.shape))
    return all
  })
  const entries = Object.entries(program.outputs)
  const outputs = rewrite(
    entries.map(([, t]) => t),
    (node, original) => used.get(original) ?? node,
  )
  return { ...program, parameters, outputs: Object.fromEntries(entries.map(([name], i) => [name, outputs[i]!])) }
}
