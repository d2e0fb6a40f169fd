import { LatentkitError } from '../../platform/errors.js'
import type { GgufTensor } from '../../weights/gguf/write.js'
import { type FloatType, isFloat, quantised, recoded, unchanged } from '../../weights/recode.js'
import type { TensorToWrite } from '../../weights/safetensors.js'
import type { StoredTensor } from '../../weights/tensor-file.js'

/** Types in which weights can be written; those after bf16 are GGUF's alone. */
export const weightTypes = ['f32', 'f16', 'bf16', 'q8_0', 'q5_1', 'q5_0', 'q4_1', 'q4_0'] as const
/** A type of weights, by the name of the command line. */
export type WeightType = (typeof weightTypes)[number]

const floatTypes: Partial<Record<WeightType, FloatType>> = { f32: 'F32', f16: 'F16', bf16: 'BF16' }

/** Numbers of the noise schedule, which lie in no network, need all their digits. */
export const isConstant = (name: string): boolean => !name.includes('.')

/** Tensors in the type that is wanted, as they are where none is; a LatentkitError for a type that is GGUF's alone. */
export function inType(
  tensors: ReadonlyMap<string, StoredTensor>,
  type: WeightType | undefined,
): Map<string, TensorToWrite> {
  const float = type && floatTypes[type]
  if (type !== undefined && float === undefined)
    throw new LatentkitError(`Weights of ${type} are written as GGUF alone; wanted here is f32, f16 or bf16`)
  return new Map(
    [...tensors].map(([name, tensor]) => [
      name,
      float && isFloat(tensor) && !isConstant(name) ? recoded(name, tensor, float) : unchanged(tensor),
    ]),
  )
}

/** Types of safetensors that ggml has as well. */
const shared = ['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16', 'I8']
const blockLength = 32

/**
 * Tensors for a GGUF file: matrices in the type that is wanted, convolutions and rows that are no whole blocks as halves at
 * least, vectors in full. What places and times become is left as it is as well.
 *
 * Source of what is left: stable-diffusion.cpp, src/model.cpp, tensor_should_be_converted.
 */
export function inGgufType(
  tensors: ReadonlyMap<string, StoredTensor>,
  type: WeightType | undefined,
): Map<string, GgufTensor> {
  const written = [...tensors].map(([name, tensor]): [string, GgufTensor] => {
    if (!isFloat(tensor) || isConstant(name)) return [name, plain(name, unchanged(tensor))]
    if (type === undefined)
      return [name, plain(name, shared.includes(tensor.dtype) ? unchanged(tensor) : recoded(name, tensor, 'F16'))]
    const { shape } = tensor
    if (shape.length < 2) return [name, plain(name, recoded(name, tensor, 'F32'))]
    const float = floatTypes[type]
    if (float) return [name, plain(name, recoded(name, tensor, float))]
    const isCoarse = /(time_embed|label_emb|position_embedding|positional_embedding|pos_emb)\b/.test(name)
    if (shape.length > 2 || isCoarse || shape[1]! % blockLength !== 0)
      return [name, plain(name, recoded(name, tensor, 'F16'))]
    return [name, quantised(name, tensor, type.toUpperCase())]
  })
  return new Map(written)
}

function plain(name: string, { dtype, shape, bytes }: TensorToWrite): GgufTensor {
  if (!shared.includes(dtype))
    throw new LatentkitError(`Cannot write "${name}" to a GGUF file: it is of ${dtype}, which ggml does not have`)
  return { type: dtype, shape, bytes }
}
