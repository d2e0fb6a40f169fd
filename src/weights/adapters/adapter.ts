import { FileError } from '../../platform/errors.js'
import type { SourceLike } from '../../platform/types.js'
import { elementCount } from '../dtypes.js'
import { openWeights } from '../open-weights.js'
import { closingOnError, quoted, type TensorFile } from '../tensor-file.js'
import { type WrittenScale, writtenScales } from './written-scale.js'

/** What belongs to one module: names of tensors in the file, by their part. */
export type AdapterParts = ReadonlyMap<Part, string>

const loha = ['hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b', 'hada_t1', 'hada_t2'] as const
const lokr = ['lokr_w1', 'lokr_w1_a', 'lokr_w1_b', 'lokr_w2', 'lokr_w2_a', 'lokr_w2_b', 'lokr_t2'] as const
/** LyCORIS' changes of whole weights and biases, of norms, and (IA)3's factors. */
const whole = ['diff', 'diff_b', 'w_norm', 'b_norm', 'on_input'] as const
/** `magnitude` is PEFT's of DoRA, one number an output; `dora_scale` is the other tools', of outputs or inputs. */
export type Part =
  | 'down'
  | 'up'
  | 'mid'
  | 'alpha'
  | 'scale'
  | 'scalar'
  | 'dora_scale'
  | 'magnitude'
  /** (IA)3's, with `on_input` beside it. */
  | 'factors'
  | (typeof whole)[number]
  | (typeof loha)[number]
  | (typeof lokr)[number]

/** An opened file of LoRA, LoHa, LoKr, DoRA, (IA)3 or whole layers, in whichever layout; tensors are read when asked for. */
export interface Adapter extends Pick<TensorFile, 'name' | 'tensors' | 'read' | 'close'> {
  /** By the module's name in the file. */
  readonly modules: ReadonlyMap<string, AdapterParts>
  /** By what the product of a module's factors is multiplied, where the file says it for all at once. */
  scaleOf(module: string): WrittenScale | undefined
  /** Tensors that are embeddings of new words, by word. */
  readonly words: ReadonlyMap<string, string>
}

/** What follows a module's name; the group that matched says which part it is. */
const endings: readonly (readonly [RegExp, (found: string) => Part])[] = [
  // kohya; diffusers before PEFT, also on text encoders and on attention processors; cloneofsimo.
  [/(?:\.lora_|\.lora\.|\.lora_linear_layer\.|_lora\.)(down|up|mid)\.weight$/, found => found as Part],
  [/:(down|up)$/, found => found as Part],
  [/\.lora_(A|B)(?:\.default)?(?:\.weight)?$/, found => (found === 'A' ? 'down' : 'up')],
  [/\.lora_(magnitude_vector)(?:\.default)?(?:\.weight)?$/, () => 'magnitude'],
  [
    new RegExp(`\\.(${['alpha', 'scale', 'scalar', 'dora_scale', ...whole, ...loha, ...lokr].join('|')})$`),
    found => found as Part,
  ],
]

/** A module by the name that all tools share: `attn1.processor.to_out_lora`, of which the ending took `_lora`, is `attn1.to_out.0`. */
const moduleName = (name: string): string =>
  // What PEFT puts around a network of its own.
  name
    .replace(/^base_model\.model\./, '')
    .replace(/\.processor\.(to_[qkv]|to_out)$/, (_, layer) => `.${layer === 'to_out' ? 'to_out.0' : layer}`)

/**
 * Opens an adapter that latentkit, diffusers, PEFT, kohya's scripts, LyCORIS or cloneofsimo/lora wrote; close it when done.
 *
 * Throws FileError where the file is damaged or holds a tensor that no adapter has.
 */
export async function openAdapter(from: SourceLike): Promise<Adapter> {
  const file = await openWeights(from)
  return closingOnError(file, async () => {
    const modules = new Map<string, Map<Part, string>>()
    const words = new Map<string, string>()
    for (const [name, { shape }] of file.tensors) {
      // An interrupted run's state, which adapters that latentkit wrote carry.
      if (name.startsWith('training_state.')) continue
      if (file.metadata.get(name) === '<embed>') {
        words.set(name, name)
        continue
      }
      const found = partOf(name) ?? factorsOf(name, file.tensors)
      if (found === undefined) {
        throw new FileError(
          file.name,
          `holds ${quoted(name)} [${shape}], which is no part of a LoRA, LoHa, LoKr, DoRA, (IA)3 or change of whole weights; choose an adapter's file`,
        )
      }
      const parts = modules.get(found.module) ?? new Map<Part, string>()
      if (parts.has(found.part))
        throw new FileError(
          file.name,
          `has two tensors for one part: ${quoted(parts.get(found.part)!)}, ${quoted(name)}`,
        )
      if (elementCount(shape) === 0) throw new FileError(file.name, `its ${quoted(name)} is empty`)
      modules.set(found.module, parts.set(found.part, name))
    }
    const scaleOf = writtenScales(file.name, file.metadata)
    return { name: file.name, tensors: file.tensors, read: file.read, close: file.close, modules, scaleOf, words }
  })
}

function partOf(name: string): { module: string; part: Part } | undefined {
  for (const [pattern, partFor] of endings) {
    const found = pattern.exec(name)
    if (found) return { module: moduleName(name.slice(0, found.index)), part: partFor(found[1]!) }
  }
  return undefined
}

/** (IA)3's factors are called as any weight is; what is beside them tells. */
function factorsOf(name: string, tensors: TensorFile['tensors']): { module: string; part: Part } | undefined {
  const module = name.replace(/\.weight$/, '')
  return module !== name && tensors.has(`${module}.on_input`) ? { module, part: 'factors' } : undefined
}
