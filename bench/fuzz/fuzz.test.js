import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { formats } from './formats.js'
import { fuzz } from './fuzz.js'
import { fileOf } from './trial.js'

test('good files are read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'latentkit-fuzz-'))
  try {
    for (const [name, { seeds, read }] of Object.entries(formats))
      for (const [i, bytes] of seeds.entries())
        await assert.doesNotReject(async () => read(bytes, `good-${i}`, folder), `${name} ${i}`)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('mutated files of every format are refused by name, or read as their bytes say', async () => {
  const outcomes = []
  await fuzz({ count: 400, note: outcome => outcomes.push(outcome) })
  assert.equal(outcomes.length, 400)
  assert.deepEqual(
    outcomes.flatMap(({ seed, problem }) => (problem === undefined ? [] : [`seed ${seed} ${problem}`])),
    [],
  )
  assert.deepEqual(new Set(outcomes.map(({ name }) => name)), new Set(Object.keys(formats)))
  assert.deepEqual(fileOf(7), fileOf(7))
})

test('what ends its process or never comes to an end is told by its seed, and the rest is read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'latentkit-fuzz-'))
  const child = join(folder, 'child.mjs')
  await writeFile(
    child,
    `process.on('message', async seeds => {
      for (const seed of seeds) {
        process.send({ begun: seed })
        await new Promise(setImmediate)
        if (seed === 3) process.exit(7)
        if (seed === 5) await new Promise(() => {})
        process.send({ outcome: { seed } })
      }
      process.send({ done: true })
    })
    process.on('disconnect', () => process.exit())
    process.send({ done: true })`,
  )
  const outcomes = []
  await fuzz({ count: 8, patience: 1000, child, note: outcome => outcomes.push(outcome) })
  await rm(folder, { recursive: true })
  assert.deepEqual(
    outcomes.map(({ seed }) => seed),
    [1, 2, 3, 4, 5, 6, 7, 8],
  )
  assert.match(outcomes[2].problem, /ends its process \(7\)/)
  assert.match(outcomes[4].problem, /takes more than 1 s/)
  assert.ok(outcomes.every(({ seed, problem }) => problem === undefined || seed === 3 || seed === 5))
})
