import { now } from '#platform'
import { adamw, ema } from '../optim/index.js'
import { hostTensorOf } from '../runtime/host-tensor.js'
import type { Device, HostTensors, WeightSource } from '../runtime/index.js'
import type { Program } from '../tensor/program.js'
import { sizeOf } from '../tensor/shape.js'

const arrays = { f32: Float32Array, f16: Uint16Array, i64: BigInt64Array, bool: Uint8Array } as const

/**
 * Milliseconds that one step of training a program takes, optimiser and average included: of the second one, for the
 * first makes room as well.
 */
export async function measureStep(device: Device, program: Program, frozen: WeightSource = new Map()): Promise<number> {
  const parameters = program.parameters
    .filter(({ name }) => frozen.get(name) === undefined)
    .map(({ name, shape }) => ({ name, shape, data: new Float32Array(sizeOf(shape)) }))
  await using state = await device.state(parameters, { optimiser: adamw(), ema: ema({ decay: 0.999 }) })
  await using step = await state.training(program, { frozen })
  const inputs: HostTensors = Object.fromEntries(
    Object.entries(program.inputs).map(([name, { dtype, shape }]) => [
      name,
      hostTensorOf(dtype, shape, new arrays[dtype as keyof typeof arrays](sizeOf(shape))),
    ]),
  )
  let taken = 0
  for (let i = 0; i < 2; i++) {
    const start = now()
    await step.accumulate(inputs)
    await state.update({ learningRate: 0 })
    taken = now() - start
  }
  return taken
}
