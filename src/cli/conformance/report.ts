import type { CaseResult } from './conformance.js'

/** One line for people: `equal  unet/sd1  0.31 of the tolerance (13 of 13 compared)`. */
export function caseLine(result: CaseResult): string {
  const { case: path, status, ratio, where, compared, total, detail } = result
  const count = `${compared} of ${total} compared`
  if (status === 'not-built') return `not built yet  ${path}  ${where}`
  if (status === 'equal') return `equal          ${path}  ${(ratio ?? 0).toPrecision(2)} of the tolerance (${count})`
  const size = ratio === null ? '' : `, ${ratio.toPrecision(3)} times the tolerance`
  return `differs        ${path}  ${where}${detail ? ` ${detail}` : ''}${size} (${count})`
}

/** One line for machines: exactly the fields case, status, ratio, where, compared, total. */
export function caseJson({ case: path, status, ratio, where, compared, total }: CaseResult): string {
  return JSON.stringify({ case: path, status, ratio, where, compared, total })
}

export interface Totals {
  equal: number
  differs: number
  'not-built': number
}

export function totalsLine({ equal, differs, 'not-built': missing }: Totals): string {
  return `${equal + differs + missing} cases: ${equal} equal, ${differs} differ, ${missing} not built yet`
}
