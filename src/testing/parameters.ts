import type { Parameter } from '../tensor/program.js'
import { sizeOf } from '../tensor/shape.js'
import type { Value } from '../tensor/tensor.js'
import { drawing } from './values.js'

interface Drawn {
  readonly parameters: readonly Pick<Parameter, 'name' | 'shape'>[]
}

/** Numbers for the parameters of a program, of a size that keeps activations in bounds: the same every time. */
export const drawnParameters = ({ parameters }: Drawn): Record<string, Value> =>
  Object.fromEntries(
    parameters.map(({ name, shape }, i) => {
      const { data } = drawing(i).normal(...shape)
      const root = Math.sqrt(sizeOf(shape) / (shape[0] ?? 1))
      return [name, { shape, data: data.map(v => v / root) }]
    }),
  )
