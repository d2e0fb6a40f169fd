// api.md lists all that the package makes public, so that each public change shows in a diff.
// node tools/api.js checks it against the build; --write writes it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hasEntry, publicDeclarations } from './declarations.js'

const REPORT = 'api.md'

function report() {
  const section = ({ name, file, text }) =>
    `### ${name}\n\n${file.replace('.d.ts', '.ts')}\n\n\`\`\`ts\n${text}\n\`\`\`\n`
  const all = publicDeclarations()
  return [
    '# Public API',
    'Written by `npm run api -- --write` from the built declarations; not to be edited by hand.\n',
    '## Exports\n',
    ...all.filter(({ exported }) => exported).map(section),
    '## Mentioned by the exports\n',
    ...all.filter(({ exported }) => !exported).map(section),
  ].join('\n')
}

/** Lines that only one side has, enough to see what changed. */
function difference(before, after) {
  const lines = text => new Set(text.split('\n').filter(line => line.trim() !== ''))
  const [old, now] = [lines(before), lines(after)]
  const gone = [...old].filter(line => !now.has(line)).map(line => `- ${line}`)
  const added = [...now].filter(line => !old.has(line)).map(line => `+ ${line}`)
  return [...gone, ...added].slice(0, 80).join('\n')
}

if (hasEntry()) {
  const now = report()
  const before = existsSync(REPORT) ? readFileSync(REPORT, 'utf8') : ''
  if (process.argv.includes('--write')) writeFileSync(REPORT, now)
  else if (now !== before) {
    console.error(
      `The public API is not what ${REPORT} says:\n${difference(before, now) || '(the order of its lines)'}`,
    )
    console.error('If the change is meant, run `npm run api -- --write` and commit the file.')
    process.exitCode = 1
  } else console.log(`api: ${REPORT} is up to date`)
}
