/** Nested plain data as indented lines; values are cut to a length that a person reads. */
export function tree(value: object, indent = '  '): string[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const nested = typeof inner === 'object' && inner !== null && !Array.isArray(inner)
    if (nested && indent.length < 20) return [`${indent}${key}:`, ...tree(inner, `${indent}  `)]
    return [`${indent}${key}: ${(JSON.stringify(inner) ?? 'null').slice(0, 160)}`]
  })
}
