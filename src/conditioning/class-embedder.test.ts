import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { i64 } from '../tensor/tensor.js'
import { classEmbedder, classEmbedderConfig } from './class-embedder.js'

test('a class is a context of one token', () => {
  const config = classEmbedderConfig.parse({ embed_dim: 2, n_classes: 3 })
  const { outputs, parameters } = trace({ labels: i64(2) }, (at, { labels }) => classEmbedder(at, config, labels))
  assert.deepEqual(outputs.output!.shape, [2, 1, 2])
  assert.deepEqual(
    parameters.map(({ name, shape }) => [name, shape]),
    [['embedding.weight', [3, 2]]],
  )
  const table = { shape: [3, 2], data: Float64Array.of(0, 1, 2, 3, 4, 5) }
  const labels = { shape: [2], data: Float64Array.of(2, 0) }
  assert.deepEqual([...evaluate([outputs.output!], { 'embedding.weight': table, labels })[0]!.data], [4, 5, 0, 1])
})
