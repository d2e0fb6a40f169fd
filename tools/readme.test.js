// The programs that README.md shows run as they stand there, against the package as it is built.
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, it } from 'node:test'
import { describePng } from '../dist/index.js'
import { run } from './package.js'

let folder
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latentkit-readme-'))
  await mkdir(join(folder, 'node_modules'))
  await symlink(resolve('.'), join(folder, 'node_modules', 'latentkit'), 'junction')
})
after(() => rm(folder, { recursive: true }))

for (const file of ['README.md', 'README.zh.md']) {
  it(`the programs of ${file} run`, async () => {
    const blocks = [...(await readFile(file, 'utf8')).matchAll(/```(?:ts|js)\n([\s\S]*?)```/g)].map(([, code]) => code)
    assert.ok(blocks.length > 0)
    for (const [i, code] of blocks.entries()) {
      await writeFile(join(folder, `${i}.mjs`), code)
      await run(process.execPath, [`${i}.mjs`], { cwd: folder })
    }
    const { width, parameters } = await describePng(await readFile(join(folder, 'heart.png')))
    assert.deepEqual([width, parameters.prompt, parameters.seed], [128, 'red heart, noto emoji', 7])
    await rm(join(folder, 'heart.png'))
  })
}
