import { mul } from '../../tensor/binary.js'
import { type Program, trace } from '../../tensor/program.js'
import { f32, type Spec, type Tensor } from '../../tensor/tensor.js'
import { laneShape } from './elementwise.js'

/**
 * One definition of an optimiser: its update of a parameter, element by element, in the language of tensors. Kernels,
 * graphs and the f64 oracle are all made from it.
 */
export interface Optimiser {
  readonly name: string
  /** Running averages that it keeps beside each parameter; they start at zero. */
  readonly moments: readonly string[]
  /** Numbers of an update that are the same for all parameters; `step` counts from 1. */
  scalars(step: number, learningRate: number): Readonly<Record<string, number>>
  /** The parameter and the moments after an update. */
  update(values: UpdateInputs): { readonly parameter: Tensor; readonly moments: Readonly<Record<string, Tensor>> }
}

export interface UpdateInputs {
  readonly parameter: Tensor
  /** After clipping. */
  readonly gradient: Tensor
  readonly moments: Readonly<Record<string, Tensor>>
  readonly scalars: Readonly<Record<string, Tensor>>
}

/** A running average of the parameters, updated with them. */
export interface Averaging {
  /** Numbers of an update; `step` counts from 1. */
  scalars(step: number): Readonly<Record<string, number>>
  update(average: Tensor, parameter: Tensor, scalars: Readonly<Record<string, Tensor>>): Tensor
}

/** Name of the flat array that holds the running average of the parameters. */
export const averageArray = 'ema'

/**
 * Clipping, optimiser and average as one elementwise program: `parameter`, `gradient`, the moments and the average are
 * arrays of the given shape, all else scalars, `gradientScale` the factor of clipping among them.
 */
export function updateProgram(optimiser: Optimiser, averaging: Averaging | undefined, shape = laneShape): Program {
  const moments = optimiser.moments
  const scalarNames = [...Object.keys(optimiser.scalars(1, 0)), ...Object.keys(averaging?.scalars(1) ?? {})]
  const arrays = ['parameter', 'gradient', ...moments, ...(averaging ? [averageArray] : [])]
  const specs: Record<string, Spec> = {
    ...Object.fromEntries(arrays.map(name => [name, f32(...shape)])),
    ...Object.fromEntries(['gradientScale', ...scalarNames].map(name => [name, f32()])),
  }
  return trace(specs, (_, inputs) => {
    const updated = optimiser.update({
      parameter: inputs.parameter!,
      gradient: mul(inputs.gradient!, inputs.gradientScale!),
      moments: Object.fromEntries(moments.map(name => [name, inputs[name]!])),
      scalars: inputs,
    })
    return {
      parameter: updated.parameter,
      ...updated.moments,
      ...(averaging && { [averageArray]: averaging.update(inputs[averageArray]!, updated.parameter, inputs) }),
    }
  })
}
