import type { Rename } from '../rename.js'

/** Submodules, CompVis to diffusers. */
export type InnerNames = ReadonlyMap<string, string>

/** One module under both names; `inner` renames what lies in it, else that is called the same. */
export interface ModuleNames {
  readonly compvis: string
  readonly diffusers: string
  readonly inner?: InnerNames
}

/** Between the layouts of CompVis' checkpoints and of diffusers' folders. */
export interface Renames {
  readonly toDiffusers: Rename
  readonly toCompvis: Rename
}

interface Target {
  readonly to: string
  readonly inner: InnerNames | undefined
}

/**
 * Translates tensors by a table of their modules; of several names for one module the first is written, all are read.
 *
 * @param kernelAxes how many axes of size 1 a weight (CompVis name) has there that is a linear layer in diffusers; 0 for all else
 */
export function renamesBetween(modules: Iterable<ModuleNames>, kernelAxes = (_name: string) => 0): Renames {
  const byCompvis = new Map<string, Target>()
  const byDiffusers = new Map<string, Target>()
  for (const { compvis, diffusers, inner } of modules) {
    if (!byCompvis.has(compvis)) byCompvis.set(compvis, { to: diffusers, inner })
    const back = inner && new Map([...inner].map(([a, b]) => [b, a]))
    const before = byDiffusers.get(diffusers)?.inner ?? []
    byDiffusers.set(diffusers, { to: compvis, inner: back && new Map([...before, ...back]) })
  }
  return {
    toDiffusers(original, shape) {
      const name = translate(original, byCompvis)
      return name === undefined ? undefined : { name, shape: kernelAxes(original) > 0 ? shape.slice(0, 2) : shape }
    },
    toCompvis(original, shape) {
      const name = translate(original, byDiffusers)
      if (name === undefined) return undefined
      const axes = shape.length === 2 ? kernelAxes(name) : 0
      return { name, shape: [...shape, ...new Array<number>(axes).fill(1)] }
    },
  }
}

function translate(name: string, modules: ReadonlyMap<string, Target>): string | undefined {
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
    const module = modules.get(name.slice(0, dot))
    if (!module) continue
    const rest = name.slice(dot + 1)
    if (!module.inner) return `${module.to}.${rest}`
    const leaf = rest.lastIndexOf('.')
    const inner = module.inner.get(rest.slice(0, Math.max(leaf, 0)))
    return inner && `${module.to}.${inner}${rest.slice(leaf)}`
  }
  return undefined
}
