// What the package's entry makes public, read from the built declarations by the TypeScript compiler itself.
import { existsSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { SyntaxKind } from 'typescript/unstable/ast'
import { API, SymbolFlags } from 'typescript/unstable/sync'

const ENTRY = resolve('dist/index.d.ts')

/** Whether there is an entry to look at; prints what to do if not. */
export function hasEntry() {
  if (!existsSync('src/index.ts')) console.log('There is no src/index.ts yet: no public API to check.')
  else if (!existsSync(ENTRY)) throw new Error('dist/index.d.ts is missing: build first (npm run build)')
  else return true
  return false
}

/**
 * The exports of dist/index.d.ts and every declaration of ours that these mention, by name:
 * `{ name, file, text, doc, exported }`, the text without comments and private members.
 */
export function publicDeclarations() {
  const api = new API({ cwd: process.cwd() })
  try {
    const project = api.updateSnapshot({ openProjects: [resolve('tools/tsconfig.json')] }).getProjects()[0]
    return collect(project)
  } finally {
    api.close()
  }
}

function collect(project) {
  const { checker, program } = project
  const unaliased = symbol => (symbol.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol)
  const found = []
  const seen = new Set()
  const queue = checker
    .getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(ENTRY)))
    .map(symbol => ({ name: symbol.name, symbol: unaliased(symbol), exported: true }))
  for (const { name, symbol, exported } of queue) {
    if (seen.has(symbol.id)) continue
    seen.add(symbol.id)
    const nodes = symbol.declarations.map(handle => handle.resolve(project)).filter(isOurs)
    if (nodes.length === 0) continue
    const file = relative('dist', nodes[0].getSourceFile().fileName)
    const text = nodes.map(declarationText).join('\n')
    found.push({ name, file, text, doc: symbol.getDocumentationComment(checker), exported })
    const mentioned = checker.getSymbolAtLocation(nodes.flatMap(identifiers))
    for (const other of mentioned) {
      const target = other && unaliased(other)
      if (target && target.flags & DECLARED) queue.push({ name: target.name, symbol: target, exported: false })
    }
  }
  return found.sort((a, b) => Number(b.exported) - Number(a.exported) || (a.name < b.name ? -1 : 1))
}

const DECLARED =
  SymbolFlags.Class |
  SymbolFlags.Interface |
  SymbolFlags.TypeAlias |
  SymbolFlags.Function |
  SymbolFlags.BlockScopedVariable

const isOurs = node => node !== undefined && !relative('dist', node.getSourceFile().fileName).startsWith('..')

function identifiers(node) {
  const names = []
  const visit = child => {
    if (child.kind === SyntaxKind.Identifier) names.push(child)
    child.forEachChild(visit)
  }
  visit(node)
  return names
}

function declarationText(node) {
  const text = node.kind === SyntaxKind.VariableDeclaration ? `const ${node.getText()}` : node.getText()
  return text
    .replace(/\/\*\*[\s\S]*?\*\//g, '')
    .replace(/^(export )?(declare )?/, '')
    .split('\n')
    .filter(line => line.trim() !== '' && !/^\s*(private |#private)/.test(line))
    .join('\n')
}
