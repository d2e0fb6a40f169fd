import { adamw, ema } from '../optim/index.js'
import { type DeviceName, hostTensor, openDevice } from '../runtime/index.js'
import { add, attention, conv2d, f32, groupNorm, mean, silu, square, sub, trace, transpose } from '../tensor/index.js'
import { reshape } from '../tensor/reshape.js'
import { drawnParameters } from './parameters.js'
import { drawing, type Sample } from './values.js'

const init = { kind: 'constant', value: 0 } as const
const shape = [2, 4, 8, 8]

/** A residual block and attention: software WebGPU takes seconds for the shaders of each operation. */
const program = trace({ x: f32(...shape), target: f32(...shape) }, (at, { x, target }) => {
  const norm = groupNorm(x, 2, at.parameter('norm.weight', [4], init), at.parameter('norm.bias', [4], init))
  const weight = at.parameter('conv.weight', [4, 4, 3, 3], init)
  const hidden = add(x, conv2d(silu(norm), weight, at.parameter('conv.bias', [4], init), { padding: 1 }))
  const tokens = transpose(reshape(hidden, [2, 2, 2, 64]), [0, 1, 3, 2])
  const mixed = reshape(transpose(attention(tokens, tokens, tokens), [0, 1, 3, 2]), shape)
  return { loss: mean(square(sub(mixed, target))) }
})

const hosted = ({ data, shape }: Sample) => hostTensor(Float32Array.from(data), shape)

/** Trains for three steps, always from the same numbers; gives losses, norms of the gradients and at last the averages. */
export async function tinyTraining(name: DeviceName, threads: number): Promise<number[]> {
  const numbers = drawnParameters(program)
  const start = program.parameters.map(({ name, shape }) => ({
    name,
    shape,
    data: Float32Array.from(numbers[name]!.data),
  }))
  const batch = { x: hosted(drawing(1).normal(...shape)), target: hosted(drawing(2).normal(...shape)) }
  await using device = await openDevice(name, { threads })
  await using state = await device.state(start, { optimiser: adamw({ epsilon: 1e-3 }), ema: ema({ decay: 0.9 }) })
  await using step = await state.training(program)
  const seen: number[] = []
  for (let i = 0; i < 3; i++) {
    const { loss } = await step.accumulate(batch, { scale: 0.5 })
    await step.accumulate(batch, { scale: 0.5 })
    const { gradientNorm } = await state.update({ learningRate: 1e-2, clip: 1 })
    seen.push(Number(loss!.data[0]), gradientNorm)
  }
  for (const average of (await state.read('ema')).values()) seen.push(...average)
  return seen
}
