// Holds the documents to the code: node tools/docs.js
// Every export has a docstring; every link in a Markdown file leads to a file, every `npm run` to a script.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { hasEntry, publicDeclarations } from './declarations.js'
import { filesUnder } from './files.js'

const problems = []

if (hasEntry())
  for (const { name, file, doc, exported } of publicDeclarations())
    if (exported && doc.trim() === '')
      problems.push(`src/${file.replace('.d.ts', '.ts')}: export ${name} has no docstring`)

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
const documents = ['.', 'docs', 'models', '.github', 'bench', 'fixtures'].flatMap(folder =>
  filesUnder(folder, '.md', folder !== '.'),
)
for (const file of documents) {
  for (const [index, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    const place = `${file}:${index + 1}`
    for (const [, target] of line.matchAll(/\]\((?![a-z]+:|#)([^)\s#]+)/g))
      if (!existsSync(join(dirname(file), decodeURI(target))))
        problems.push(`${place} links to ${target}, which is not there`)
    for (const [, script] of line.matchAll(/npm run (?:-s )?([a-z][\w:-]*)/g))
      if (!(script in scripts)) problems.push(`${place} names npm run ${script}, which package.json does not have`)
  }
}

for (const problem of problems) console.error(problem)
console.log(`docs: ${documents.length} documents, ${problems.length} problems`)
process.exitCode = problems.length > 0 ? 1 : 0
