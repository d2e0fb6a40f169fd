import { type CaseResult, type ConformanceOptions, conformance } from '../cli/conformance/index.js'

/** The verdicts on cases of `fixtures/conformance`, wherever this module is loaded from. */
export async function judged(cases: readonly string[], device: ConformanceOptions['device']): Promise<CaseResult[]> {
  const folder = new URL('../../fixtures/conformance', import.meta.url).href
  const results: CaseResult[] = []
  for await (const result of conformance(folder, { cases, ...(device && { device }) })) results.push(result)
  return results
}
