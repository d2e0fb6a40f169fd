/** Which files of a model are wanted: those that match an `include`, or all, without those that match an `exclude`. */
export interface Selection {
  /** Patterns as shells have them, whose `*` passes over `/` too; `folder/` is all below it. */
  readonly include?: readonly string[] | undefined
  readonly exclude?: readonly string[] | undefined
}

/** The files of a model that are wanted; without `include` those that `usualFiles` names. */
export function selectFiles(files: readonly string[], { include, exclude = [] }: Selection): string[] {
  const among = (patterns: readonly string[]) => {
    const expressions = patterns.map(expression)
    return (file: string) => expressions.some(pattern => pattern.test(file))
  }
  const wanted = include === undefined || include.length === 0 ? usualFiles(files) : files.filter(among(include))
  const unwanted = among(exclude)
  return wanted.filter(file => !unwanted(file))
}

/** Python's fnmatch, which huggingface_hub selects by. */
function expression(pattern: string): RegExp {
  const parts = pattern.replace(/\/$/, '/*').match(/\*+|\?|\[!?\]?[^\]]*\]|./gsu) ?? []
  const source = parts.map(part => {
    if (part.startsWith('*')) return '.*'
    if (part === '?') return '.'
    const [, not, set] = /^\[(!?)(.+)\]$/s.exec(part) ?? []
    if (set !== undefined) return `[${not ? '^' : ''}${set.replace(/[\\\]^[]/g, '\\$&')}]`
    return part.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
  })
  return new RegExp(`^${source.join('')}$`, 'su')
}

/**
 * Weights by the preference of diffusers: safetensors before pickles, whole numbers of bits before variants; of those in
 * several files the index with them, which diffusers and transformers name differently.
 */
const preferred = ['safetensors', 'bin'].flatMap(ending => [
  new RegExp(`^[^.]+\\.${ending}(\\.index\\.json)?$`),
  new RegExp(`^[^.]+\\.(fp16(-\\d+-of-\\d+)?\\.${ending}(\\.index\\.json)?|${ending}\\.index\\.fp16\\.json)$`),
])

/**
 * Of a pipeline of diffusers its parts, each with its weights once; of any other model everything.
 *
 * Repositories of pipelines hold the same weights many times: as pickles, in half precision, for Flax and ONNX, and in
 * one piece. Source: diffusers, pipelines/pipeline_loading_utils.py, variant_compatible_siblings.
 */
function usualFiles(files: readonly string[]): string[] {
  if (!files.includes('model_index.json')) return files.filter(file => file !== '.gitattributes')
  const baseName = (file: string) => file.slice(file.lastIndexOf('/') + 1)
  const folderOf = (file: string) => file.slice(0, file.lastIndexOf('/') + 1)
  const preference = (file: string) => preferred.findIndex(pattern => pattern.test(baseName(file)))
  const best = new Map<string, number>()
  for (const file of files) {
    const rank = preference(file)
    if (rank >= 0) best.set(folderOf(file), Math.min(rank, best.get(folderOf(file)) ?? rank))
  }
  return files.filter(file => {
    const folder = folderOf(file)
    if (folder === '') return file === 'model_index.json' || /^(readme|license)/i.test(file)
    const rank = preference(file)
    if (rank >= 0) return rank === best.get(folder)
    return /\.(txt|model)$/.test(file) || (/\.json$/.test(file) && !/\.index\.(\w+\.)?json$/.test(file))
  })
}
