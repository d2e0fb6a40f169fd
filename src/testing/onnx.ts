import assert from 'node:assert/strict'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { emitProgram } from '../compiler/emit.js'
import type { Program } from '../tensor/program.js'
import type { Value } from '../tensor/tensor.js'
import type { Sample } from './values.js'

function toRuntime({ dtype, shape, data }: Sample): OrtTensor {
  if (dtype === 'i64') return new OrtTensor('int64', BigInt64Array.from(data, BigInt), shape)
  if (dtype === 'bool') return new OrtTensor('bool', Uint8Array.from(data), shape)
  return new OrtTensor('float32', Float32Array.from(data), shape)
}

/** Runs a program as it is emitted, in onnxruntime without graph optimisation. Outputs must not be f16. */
export async function runOnnx(program: Program, inputs: Record<string, Sample>): Promise<Record<string, Value>> {
  const session = await InferenceSession.create(emitProgram(program).bytes, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  try {
    const feeds = Object.entries(inputs).map(([name, sample]) => [name, toRuntime(sample)] as const)
    const results = await session.run(Object.fromEntries(feeds))
    return Object.fromEntries(
      Object.entries(results).map(([name, { dims, data }]) => [
        name,
        { shape: dims, data: Float64Array.from(data as Float32Array, Number) },
      ]),
    )
  } finally {
    await session.release()
  }
}

/** Whether two values are the same to `tolerance`, relative to the largest number wanted. */
export function assertClose(found: Value, wanted: Value, tolerance = 1e-5): void {
  assert.deepEqual([...found.shape], [...wanted.shape])
  const scale = wanted.data.reduce((a, b) => Math.max(a, Math.abs(b)), 1)
  for (const [i, v] of wanted.data.entries()) {
    assert.ok(
      Math.abs(found.data[i]! - v) <= tolerance * scale,
      `element ${i} of [${wanted.shape}]: found ${found.data[i]}, wanted ${v} (largest ${scale})`,
    )
  }
}
