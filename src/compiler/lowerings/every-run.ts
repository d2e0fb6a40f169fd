import { apply, type Operation, type Tensor } from '../../tensor/tensor.js'

/** The operation's name: what is made of its result is no longer constant to the runtime. */
export const everyRunName = 'everyRun'

const operation: Operation = {
  name: everyRunName,
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  evaluate: ([x]) => x!.data,
  emit: (to, [x], { shape }) => to.node('Reshape', [x!, to.reshapeTo(shape)]),
}

/** A weight whose other forms are made in every run: the runtime would make them as it loads the model, and keep them. */
export const everyRun = (weight: Tensor): Tensor => apply(operation, [weight], {})
