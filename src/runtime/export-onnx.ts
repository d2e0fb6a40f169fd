import { emitProgram } from '../compiler/emit.js'
import { lower } from '../compiler/lower.js'
import type { TensorBytes } from '../compiler/onnx.js'
import { LatentkitError } from '../platform/errors.js'
import type { Program } from '../tensor/program.js'
import type { Weights } from './weights/numbers.js'
import { loadWeights } from './weights/weights.js'

/** What goes into an .onnx file, and which operators it may use. */
export interface ExportOptions {
  /** Values of the parameters; without them the parameters are inputs of the model. */
  readonly weights?: Weights
  /** Also allows the operators of onnxruntime's own (com.microsoft), which run faster there and nowhere else. */
  readonly contrib?: boolean
}

/** What one protocol buffer message may hold. */
const largestMessage = 2 ** 31 - 1

/**
 * A program as the bytes of an .onnx file of standard operators, weights included: those stored as float16 remain so and
 * are widened in the graph.
 *
 * @throws LatentkitError where a weight is missing or the model is larger than the 2 GiB that the format allows.
 * @example
 * await writeFileAtomic('decoder.onnx', await exportOnnx(decoder, { weights: file }))
 */
export async function exportOnnx(
  program: Program,
  { weights, contrib = false }: ExportOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const loaded = weights && (await loadWeights(program, weights, { fed: new Set(), filesOnDisk: false }))
  const inMemory = new Map(loaded?.externalData.map(({ path, data }) => [path, data]))
  const total = [...inMemory.values()].reduce((sum, data) => sum + data.length, 0)
  if (total > largestMessage) {
    throw new LatentkitError(
      `Cannot export the program: its weights take ${total} bytes, an .onnx file holds at most ${largestMessage}; store them as float16`,
    )
  }
  const bytesOf = (name: string): TensorBytes | undefined => {
    const bytes = loaded?.bytes.get(name)
    return bytes?.kind === 'external' ? { kind: 'inline', data: inMemory.get(bytes.file)! } : bytes
  }
  const lowered = lower(loaded?.program ?? program, { device: 'cpu', training: false, contrib, weightGrowth: 0 })
  return emitProgram(lowered, { weights: bytesOf }).bytes
}
