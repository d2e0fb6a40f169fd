const mostNames = 100_000

/**
 * The names that braces stand for, as a shell has them: `shard-{000..012}.tar` counts (with as many digits as are
 * written), `{train,test}.tar` lists; several braces and nested ones multiply.
 *
 * Throws RangeError for more than 100,000 names.
 *
 * @example expandBraces('shard-{08..10}.tar') // shard-08.tar, shard-09.tar, shard-10.tar
 */
export function expandBraces(pattern: string): string[] {
  const inner = /\{([^{}]*)\}/
  const found = inner.exec(pattern)
  if (!found) return [pattern]
  const [whole, content] = found as unknown as [string, string]
  const [before, after] = [pattern.slice(0, found.index), pattern.slice(found.index + whole.length)]
  const choices = range(content) ?? (content.includes(',') ? content.split(',') : undefined)
  // Braces around nothing that can be expanded stay what they are; the rest of the pattern may still have some.
  if (!choices) return expandBraces(after).map(rest => before + whole + rest)
  const names = new Set<string>()
  for (const choice of choices) {
    for (const name of expandBraces(before + choice + after)) names.add(name)
    if (names.size > mostNames) throw new RangeError(`${pattern} stands for more than ${mostNames} names`)
  }
  return [...names]
}

function range(content: string): string[] | undefined {
  const found = /^(\d{1,15})\.\.(\d{1,15})$/.exec(content)
  if (!found) return undefined
  const [, first, last] = found as unknown as [string, string, string]
  const [from, to] = [Number(first), Number(last)]
  const step = from <= to ? 1 : -1
  const count = Math.abs(to - from) + 1
  if (count > mostNames) throw new RangeError(`{${content}} stands for more than ${mostNames} names`)
  // Leading zeros ask for a fixed width.
  const width = /^0\d/.test(first) || /^0\d/.test(last) ? Math.max(first.length, last.length) : 0
  return Array.from({ length: count }, (_, i) => String(from + i * step).padStart(width, '0'))
}
