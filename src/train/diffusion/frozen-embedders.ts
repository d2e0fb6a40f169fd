import { openSource } from '#platform'
import { type ConditioningName, embedderScope } from '../../conditioning/index.js'
import type { ModelConfig } from '../../pipelines/model-config.js'
import { FileError } from '../../platform/errors.js'
import type { Program } from '../../tensor/program.js'
import { sameShape } from '../../tensor/shape.js'
import { openSafetensors, type SafetensorsFile, type TensorToWrite } from '../../weights/safetensors.js'
import type { StoredTensor } from '../../weights/tensor-file.js'

/** Embedders that training leaves alone: their weights, for the program and for the checkpoints. */
export interface FrozenEmbedders extends AsyncDisposable {
  readonly weights: ReadonlyMap<string, StoredTensor>
  readonly also: ReadonlyMap<string, TensorToWrite>
}

/** A name, and what is left of it without its first parts: `a.b.c`, `b.c`, `c`. */
const endings = (name: string): string[] => name.split('.').map((_, i, parts) => parts.slice(i).join('.'))

/**
 * Opens the weights of embedders that are not trained, each a .safetensors file whose names are those of a checkpoint
 * (`cond_stage_model.…`) or lack their beginning, as those of a text encoder's own file do (`text_model.…`).
 *
 * @throws FileError where a tensor is missing or of another shape.
 */
export async function openFrozenEmbedders(
  config: ModelConfig,
  paths: Readonly<Partial<Record<ConditioningName, string>>>,
  program: Program,
): Promise<FrozenEmbedders> {
  const weights = new Map<string, StoredTensor>()
  const also = new Map<string, TensorToWrite>()
  const files: SafetensorsFile[] = []
  const close = async () => {
    for (const file of files) await file.close()
  }
  try {
    for (const [name, path] of Object.entries(paths) as [ConditioningName, string][]) {
      const scope = embedderScope(config.conditioning, name)
      if (scope === undefined) throw new FileError(path, `is for the condition ${name}, which the model does not have`)
      const file = await openSafetensors(await openSource(path))
      files.push(file)
      for (const parameter of program.parameters.filter(({ name }) => scope.holds(name))) {
        const given = endings(parameter.name).find(key => file.tensors.has(key))
        const tensor = given === undefined ? undefined : file.tensors.get(given)
        if (tensor === undefined || !sameShape(tensor.shape, parameter.shape)) {
          const found = tensor ? `has shape [${tensor.shape}]` : 'is missing'
          throw new FileError(path, `"${parameter.name}" ${found}, wanted [${parameter.shape}] for ${name}`)
        }
        weights.set(parameter.name, tensor)
        also.set(parameter.name, {
          dtype: tensor.dtype,
          shape: tensor.shape,
          bytes: async () => (await file.read(given!)).bytes,
        })
      }
    }
  } catch (error) {
    await close()
    throw error
  }
  return { weights, also, [Symbol.asyncDispose]: close }
}
