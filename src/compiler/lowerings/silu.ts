import { silu } from '../../tensor/activation.js'
import { constant } from '../../tensor/constant.js'
import { apply, type Operation } from '../../tensor/tensor.js'
import type { Lowering } from '../lowering.js'

/** SiLU in one pass over memory: the runtime's QuickGelu, x sigmoid(alpha x), with alpha 1. */
const fusedSilu: Operation = {
  ...silu(constant(0)).op,
  name: 'fusedSilu',
  emit: (to, inputs) => to.node('QuickGelu', inputs, { alpha: { float: 1 } }, { domain: 'com.microsoft' }),
}

export const siluLowerings: readonly Lowering[] = [
  {
    op: 'silu',
    name: 'fused',
    fits: ({ dtype }, { contrib, device }) => contrib && device !== 'webgpu' && dtype === 'f32',
    rewrite: ({ inputs }) => apply(fusedSilu, inputs, {}),
  },
]
