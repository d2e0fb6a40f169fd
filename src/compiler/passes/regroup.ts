import type { Shape } from '../../tensor/shape.js'

/**
 * How a reshape acts on a tensor whose axes lie in memory in another order: the order of the result's axes that needs no
 * copy, or undefined where there is none. A reshape joins and splits runs of neighbouring axes; it needs no copy where
 * each run's axes are neighbours in memory too, in the same order. Axes of size 1 lie anywhere.
 */
export function regroup(from: Shape, to: Shape, order: readonly number[]): number[] | undefined {
  const source = from.flatMap((size, axis) => (size === 1 ? [] : [axis]))
  const result = to.flatMap((size, axis) => (size === 1 ? [] : [axis]))
  const runs: { source: number[]; result: number[] }[] = []
  let [i, j] = [0, 0]
  while (i < source.length && j < result.length) {
    const run = { source: [source[i]!], result: [result[j]!] }
    let before = from[source[i++]!]!
    let after = to[result[j++]!]!
    while (before !== after) {
      const grow = Math.abs(before) <= Math.abs(after) && i < source.length
      if (!grow && j >= result.length) return undefined
      if (grow) {
        run.source.push(source[i]!)
        before *= from[source[i++]!]!
      } else {
        run.result.push(result[j]!)
        after *= to[result[j++]!]!
      }
    }
    runs.push(run)
  }
  if (i < source.length || j < result.length) return undefined

  const memory = order.filter(axis => from[axis] !== 1)
  const settled: number[] = []
  for (let at = 0; at < memory.length; ) {
    const run = runs.find(r => r.source[0] === memory[at])
    if (run === undefined || run.source.some((axis, k) => memory[at + k] !== axis)) return undefined
    settled.push(...run.result)
    at += run.source.length
  }
  // An axis of size 1 stays beside the one before it, which it may have been split from.
  to.forEach((size, axis) => {
    if (size === 1) settled.splice(settled.indexOf(axis - 1) + 1, 0, axis)
  })
  return settled
}
