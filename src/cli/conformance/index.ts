export { conformanceCommand, runConformance } from './command.js'
export { type CaseResult, type ConformanceOptions, conformance } from './conformance.js'
export { caseJson, caseLine, type Totals, totalsLine } from './report.js'
