import { FileError } from '../../platform/errors.js'
import { elementCount, fromFloat32, toFloat32 } from '../dtypes.js'
import { computedTensor, readStored } from '../stored.js'
import { quoted, type StoredTensor } from '../tensor-file.js'

/** Where ComfyUI keeps by what weights in float8 are multiplied, and what else belongs to that: comfy/quant_ops.py, comfy/ops.py. */
const scales = ['scale_weight', 'weight_scale'] as const
const beside = /(^|\.)(scaled_fp8|scale_input|input_scale|comfy_quant)$/

/**
 * Weights in float8 with their scales multiplied in, one for all or one an output; what belongs to them alone is left out.
 *
 * Throws FileError for a scale that fits no weight.
 */
export function withScales(tensors: ReadonlyMap<string, StoredTensor>): ReadonlyMap<string, StoredTensor> {
  if (![...tensors.keys()].some(name => scales.some(scale => name.endsWith(`.${scale}`)))) return tensors
  const out = new Map<string, StoredTensor>()
  for (const [name, tensor] of tensors) {
    if (beside.test(name)) continue
    const module = name.replace(/\.[^.]*$/, '')
    const scale = name.endsWith('.weight')
      ? scales.map(end => tensors.get(`${module}.${end}`)).find(Boolean)
      : undefined
    const own = scales.find(end => name.endsWith(`.${end}`))
    if (own && tensors.has(`${module}.weight`)) continue
    if (own)
      throw new FileError(tensor.source.name, `has ${quoted(name)}, but no weight that it scales; the file is damaged`)
    out.set(name, scale ? multiplied(name, tensor, scale) : tensor)
  }
  return out
}

function multiplied(name: string, tensor: StoredTensor, scale: StoredTensor): StoredTensor {
  const { shape, source } = tensor
  const count = elementCount(scale.shape)
  const rows = shape[0] ?? 1
  if (count !== 1 && count !== rows)
    throw new FileError(
      source.name,
      `scales ${quoted(name)} [${shape}] by ${count} numbers; wanted is one, or one for each of ${rows} outputs`,
    )
  const row = elementCount(shape) / rows
  return computedTensor(source.name, { dtype: 'F32', shape }, async () => {
    const by = toFloat32(await readStored(scale))
    const values = toFloat32(await readStored(tensor)).map((v, i) => v * by[count === 1 ? 0 : Math.floor(i / row)]!)
    return fromFloat32(values, shape).bytes
  })
}
