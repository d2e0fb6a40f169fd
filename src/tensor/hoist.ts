import { type Program, withoutUnused } from './program.js'
import { apply, input, type Tensor } from './tensor.js'
import { rewrite, topological } from './walk.js'

/** A program in two: what some of its inputs become by themselves, and the rest, which takes that as inputs. */
export interface Hoisted {
  readonly once: Program
  readonly each: Program
}

/** What only moves numbers, or repeats them, costs less than to keep its result. */
const moves = new Set(['reshape', 'transpose', 'expand'])

/**
 * Splits off what is computed from the `steady` inputs and parameters alone, so that it need not be computed again while
 * only the other inputs change: keys and values of a prompt, the embedding of a class. Undefined where there is nothing,
 * or nothing else.
 *
 * @example
 * const parts = hoist(denoiser, ['context', 'y'])
 */
export function hoist(program: Program, steady: readonly string[]): Hoisted | undefined {
  const given = new Set(steady.map(name => program.inputs[name]))
  const names = Object.keys(program.outputs)
  const results = Object.values(program.outputs)
  const alone = new Set<Tensor>()
  const told = new Set<Tensor>()
  const fed = new Map<Tensor, Tensor>()
  const unmoved = (t: Tensor): Tensor => (moves.has(t.op.name) ? unmoved(t.inputs[0]!) : t)
  const feed = (used: Tensor) => {
    const t = unmoved(used)
    if (!told.has(t) || given.has(t) || fed.has(t)) return
    fed.set(t, apply(input, [], { name: `steady.${fed.size}`, shape: t.shape, dtype: t.dtype }))
  }
  for (const t of topological(results)) {
    if (t.op.name === 'input' ? given.has(t) : t.inputs.every(x => alone.has(x))) {
      alone.add(t)
      if (given.has(t) || t.inputs.some(x => told.has(x))) told.add(t)
    } else t.inputs.forEach(feed)
  }
  results.forEach(feed)
  if (fed.size === 0 || results.every(t => alone.has(t))) return undefined

  const rest = rewrite(results, (node, original) => fed.get(original) ?? node)
  const used = new Set(topological(rest))
  const inputs = Object.entries(program.inputs).filter(([, t]) => !given.has(t) || used.has(t))
  const kept = [...fed].map(([t, { attributes }]) => [attributes.name as string, t] as const)
  const seen = new Set(topological(kept.map(([, t]) => t)))
  return {
    once: withoutUnused({
      ...program,
      inputs: Object.fromEntries(Object.entries(program.inputs).filter(([, t]) => seen.has(t))),
      outputs: Object.fromEntries(kept),
    }),
    each: withoutUnused({
      ...program,
      inputs: Object.fromEntries([...inputs, ...[...fed.values()].map(t => [t.attributes.name as string, t] as const)]),
      outputs: Object.fromEntries(names.map((name, i) => [name, rest[i]!])),
    }),
  }
}
