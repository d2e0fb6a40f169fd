import { type Shape, show, sizeOf } from './shape.js'
import { apply, type Dtype, type Operation, type Tensor } from './tensor.js'

/** Numbers that are part of the program. */
const constantOperation: Operation<{ data: ArrayLike<number>; shape: Shape; dtype: Dtype }> = {
  name: 'constant',
  infer: (_, { data, shape, dtype }) => {
    if (data.length !== sizeOf(shape)) {
      throw new RangeError(`constant: ${data.length} numbers do not fill the shape ${show(shape)}`)
    }
    return { shape, dtype }
  },
  evaluate: (_, { data }) => Float64Array.from(data as ArrayLike<number>),
  emit: (to, _, { attributes }) => to.constant(attributes.dtype, attributes.shape, attributes.data),
}

/** A tensor of fixed numbers; a single number is a scalar of shape []. */
export function constant(value: number | ArrayLike<number>, shape: Shape = [], dtype: Dtype = 'f32'): Tensor {
  return apply(constantOperation, [], { data: typeof value === 'number' ? [value] : value, shape, dtype })
}

/** Whether a tensor is a constant, and if so its numbers. */
export function constantData(tensor: Tensor): ArrayLike<number> | undefined {
  return tensor.op.name === 'constant' ? (tensor.attributes.data as ArrayLike<number>) : undefined
}

/** A number as a scalar of the other operand's dtype. */
export const operand = (x: Tensor | number, like: Dtype = 'f32'): Tensor =>
  typeof x === 'number' ? constant(x, [], like) : x
