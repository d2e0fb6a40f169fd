import type { ConvAttributes } from '../../tensor/conv.js'
import type { Emitter } from '../../tensor/emitter.js'
import type { Shape } from '../../tensor/shape.js'
import { apply, type Operation, type Tensor } from '../../tensor/tensor.js'
import type { Target } from '../target.js'

/** The runtime's operators on images [batch, channels / block, height, width, block], which its optimiser uses itself. */
const domain = 'com.microsoft.nchwc'

type BlockedAttributes = ConvAttributes & { readonly block: number }

/** Whether the runtime convolves by blocks of channels: without groups, and images of few channels as they are. */
export function hasBlocks({ inputs: [x, weight], attributes, dtype }: Tensor, target: Target): boolean {
  const { channelBlock: block } = target
  const [out, channels] = weight!.shape as [number, number]
  const whole = block !== undefined && out % block === 0 && (channels < block || channels % block === 0)
  return whole && target.contrib && dtype === 'f32' && attributes.groups === 1 && x!.shape[0]! > 0
}

/** A convolution in the runtime's own blocks, its weight arranged in every run as the optimiser arranges constant ones. */
export function blockedConv({ op, inputs, attributes }: Tensor, block: number): Tensor {
  return apply({ ...(op as unknown as Operation<BlockedAttributes>), name: 'blockedConv', emit: emitBlocked }, inputs, {
    ...(attributes as ConvAttributes),
    block,
  })
}

function emitBlocked(to: Emitter, [x, weight, bias]: readonly string[], node: Tensor<BlockedAttributes>): string {
  const { stride, padding, dilation, block } = node.attributes
  const [, kernel] = node.inputs.map(t => t.shape) as [Shape, Shape]
  const few = kernel[1]! < block
  const images = few ? x! : to.node('ReorderInput', [x!], {}, { domain })
  const result = to.node(
    'Conv',
    [images, arranged(to, weight!, kernel, few ? 1 : block, block), ...(bias ? [bias] : [])],
    { kernel_shape: kernel.slice(2), strides: stride, pads: padding, dilations: dilation, group: 1 },
    { domain },
  )
  return to.node('ReorderOutput', [result], { channels: kernel[0]! }, { domain })
}

/** [out, in, h, w] as [out / block, in / inner, h, w, inner, block]. */
function arranged(to: Emitter, weight: string, [out, channels, h, w]: Shape, inner: number, block: number): string {
  const split = to.node('Reshape', [weight, to.reshapeTo([out! / block, block, channels! / inner, inner, h!, w!])])
  const turned = to.node('Transpose', [split], { perm: [0, 2, 4, 5, 3, 1] })
  return to.node('Reshape', [turned, to.reshapeTo([out!, channels!, h!, w!])])
}
