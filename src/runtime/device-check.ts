import { now } from '#platform'
import { LatentkitError } from '../platform/errors.js'
import { add, div } from '../tensor/binary.js'
import { evaluate } from '../tensor/evaluate.js'
import { matmul } from '../tensor/matmul.js'
import { type Program, trace } from '../tensor/program.js'
import { mean, sum } from '../tensor/reduce.js'
import { expandTo, transpose } from '../tensor/reshape.js'
import { f32 } from '../tensor/tensor.js'
import { cast, exp, sigmoid, square } from '../tensor/unary.js'
import type { Executable } from './executable.js'
import { hostTensor } from './host-tensor.js'

/** A device that computes other numbers than the processor. */
export class WrongNumbersError extends LatentkitError {
  override name = 'WrongNumbersError'
}

/** What of a device is looked at. */
interface Checked {
  readonly name: string
  compile(program: Program): Promise<Executable>
}

const size = 24

/** A product, a reduction and functions of single elements: what every network is made of. */
const sample: Program = trace({ x: f32(size, size) }, (_, { x }) => {
  const scores = exp(div(matmul(x, transpose(x, [1, 0])), size))
  const weights = div(scores, sum(scores, { axes: [1], keep: true }))
  return add(matmul(weights, sigmoid(x)), mean(square(x), { axes: [0], keep: true }))
})

/**
 * Runs a small program and compares it with its definition: some drivers compute nonsense without a word.
 *
 * @throws WrongNumbersError where the numbers differ.
 */
export async function checkNumbers(device: Checked): Promise<void> {
  const numbers = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i * 1.7) * 2)
  await using run = await device.compile(sample)
  const { output } = await run({ x: hostTensor(numbers, [size, size]) })
  const [expected] = evaluate([sample.outputs.output!], {
    x: { shape: [size, size], data: Float64Array.from(numbers) },
  })
  const difference = expected!.data.reduce(
    (worst, value, i) => Math.max(worst, Math.abs(Number(output!.data[i]) - value)),
    0,
  )
  if (!(difference < 1e-2)) {
    throw new WrongNumbersError(
      `The device ${device.name} computes other numbers than the processor (they differ by ${difference}): its driver is broken; update it or use the device "cpu"`,
    )
  }
}

/**
 * Multiplies two small matrices in float16.
 *
 * @throws LatentkitError where the device cannot do so, or not faster than in float32.
 */
export async function checkHalf(device: Checked): Promise<void> {
  const refusal = 'Products in float16 (precision: mixed) are not to be had'
  if (device.name === 'cpu' || device.name === 'wasm') {
    throw new LatentkitError(
      `${refusal}: processors are no faster with them. Leave "precision" out, or train on a graphics card (--device webgpu)`,
    )
  }
  const product = trace({ x: f32(size, size) }, (_, { x }) => cast(matmul(cast(x, 'f16'), cast(x, 'f16')), 'f32'))
  const ones = new Float32Array(size * size).fill(1)
  try {
    await using run = await device.compile(product)
    const { output } = await run({ x: hostTensor(ones, [size, size]) })
    if (Number(output!.data[0]) !== size) throw new Error(`${size} times 1 came out as ${output!.data[0]}`)
  } catch (cause) {
    throw new LatentkitError(
      `${refusal}: the device ${device.name} has none (${(cause as Error).message}). Leave "precision" out, or update the driver`,
      { cause },
    )
  }
}

/** The size of the largest buffer, which only the message tells with which a larger one is refused. */
export async function largestBuffer(device: Checked): Promise<number> {
  // 4.1 GiB: from 8 GiB on onnxruntime stumbles over the size before the adapter is asked.
  const tooLarge = trace({ x: f32(1) }, (_, { x }) => sum(expandTo(x, [2 ** 10, 2 ** 20 + 2 ** 15]), { axes: [0] }))
  await using run = await device.compile(tooLarge)
  // A context's first refusal is the driver's, which does not tell.
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await run({ x: hostTensor([1]) })
    } catch (error) {
      const limit = /max buffer size limit \((\d+)\)/.exec(String(error))?.[1]
      if (limit !== undefined) return Number(limit)
    }
  }
  return Number.POSITIVE_INFINITY
}

/** Whether a device multiplies matrices faster than another; a hopeless one is found out with small matrices. */
export async function isFaster(device: Checked, than: Checked): Promise<boolean> {
  if ((await timeProducts(device, 256)) > 50) return false
  return (await timeProducts(device, 1024)) < (await timeProducts(than, 1024))
}

/** Milliseconds of a chain of matrix products, after a first run. */
async function timeProducts(device: Checked, side: number): Promise<number> {
  const products = trace({ x: f32(side, side) }, (_, { x }) => {
    const squared = matmul(x, x)
    return sum(matmul(matmul(squared, x), squared))
  })
  await using run = await device.compile(products)
  const x = hostTensor(new Float32Array(side * side), [side, side])
  await run({ x })
  const begin = now()
  await run({ x })
  return now() - begin
}
