// Writes PARITY.md from a run over reference cases: node tools/parity.js FOLDER (fixtures/conformance by default).
// What is written by hand, from the heading `byHand` on, stays.
import { readFileSync, writeFileSync } from 'node:fs'
import { openCase } from '../dist/cli/conformance/case.js'
import { conformance } from '../dist/cli/conformance/conformance.js'
import { processor } from '../dist/platform/node/index.js'

const folder = process.argv[2] ?? 'fixtures/conformance'
const byHand = '## Beside the cases'

/** Who wrote the original: repository at commit, or package and version. */
const origin = ({ repository, commit, package: name, version }) =>
  repository ? `${repository}${commit ? `@${commit.slice(0, 7)}` : ''}` : [name, version].filter(Boolean).join(' ')

function numbersIn(value) {
  if (typeof value === 'number') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersIn) : []
}

/** The span of the absolute tolerances that a case gives. */
function toleranceText({ rule, atol, default_atol }) {
  const numbers = numbersIn([atol, default_atol]).filter(n => n > 0)
  if (numbers.length === 0) return rule.split(/[;:(]/)[0].trim()
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)].map(n => n.toExponential(0))
  return low === high ? low : `${low} to ${high}`
}

const rows = new Map()
const totals = { equal: 0, differs: 0, 'not-built': 0 }
for await (const result of conformance(folder)) {
  const about = await openCase(folder, result.case, () => [])
  const objects = [...new Set(about.source.map(s => s.object ?? '').filter(Boolean))].join(', ')
  const verdict = result.status === 'not-built' ? 'not built yet' : result.status
  const ratio = result.ratio === null ? '' : `${result.ratio.toPrecision(2)}`
  const cells = [
    result.case,
    `${[...new Set(about.source.map(origin))].join(', ')}: ${objects}`,
    toleranceText(about.tolerance),
    ratio,
    `${result.compared} of ${result.total}`,
    verdict,
  ]
  const kind = rows.get(about.kind) ?? []
  rows.set(about.kind, [...kind, `| ${cells.join(' | ')} |`])
  totals[result.status]++
}

const tables = [...rows].map(([kind, lines]) => {
  const head = '| case | reference | absolute tolerance | largest difference over tolerance | compared | verdict |'
  return `## ${kind}\n\n${head}\n| --- | --- | --- | --- | --- | --- |\n${lines.join('\n')}\n`
})
const [, kept = '\n'] = readFileSync('PARITY.md', 'utf8').split(byHand)
writeFileSync(
  'PARITY.md',
  `# What equals which reference

Written by \`node tools/parity.js FOLDER\` from a run of \`latentkit conformance\` on the CPU (${processor().name}): ${totals.equal} cases equal,
${totals.differs} differ, ${totals['not-built']} not built yet. The cases hold numbers computed with the original Python implementations, each with
its own tolerances; a difference over tolerance of 1 would be the limit. A case is equal only if every tensor of every
expected file was compared and every other layout of its weights was loaded and agrees.

Copies of some cases of every kind lie in \`fixtures/conformance\` and are run by \`src/cli/conformance/conformance.test.ts\`;
the networks' cases also in Chromium on WebAssembly and on WebGPU, to the tolerances that the browser tests state.

${tables.join('\n')}
${byHand}${kept}`,
)
console.log(`PARITY.md: ${totals.equal} equal, ${totals.differs} differ, ${totals['not-built']} not built yet`)
