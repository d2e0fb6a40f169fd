import { show } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'

/** Names of lowerings by use: what was measured to be fastest. */
export type Tuned = Readonly<Record<string, string>>

/** Stands for no lowering: the operation in its own form. */
export const asItIs = 'as it is'

/** An operation with its shapes and attributes: equal uses take equally long. */
export const useOf = ({ op, inputs, attributes }: Tensor): string =>
  `${op.name} ${inputs.map(({ dtype, shape }) => dtype + show(shape)).join(' ')} ${JSON.stringify(attributes)}`
