import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { tinyCheckpoint } from '../../testing/tiny-model.js'
import { convert } from '../export/index.js'
import { load } from './load.js'
import { openModelFile } from './model-file.js'

const folder = await temporaryFolder()

test('a GGUF file in blocks paints the same with its weights as they are stored as with wide ones', async () => {
  const path = join(folder, 'tiny.gguf')
  await convert(await tinyCheckpoint(), path, { dtype: 'q4_1' })
  const checkpoint = await openModelFile(path)
  const inBlocks = [...checkpoint.weights].filter(([, { blocks }]) => blocks?.form.bits === 4)
  assert.ok(inBlocks.length > 10)
  await checkpoint.close()
  const latents: Float32Array[] = []
  for (const weights of ['f32', 'file'] as const) {
    await using model = await load(path, { weights, threads: 1 })
    for await (const event of model.generate('red heart', { seed: 3, steps: 3 }))
      if (event.type === 'image') latents.push(event.latents.data)
  }
  const [wide, stored] = latents as [Float32Array, Float32Array]
  const norm = (values: Float32Array) => Math.hypot(...values)
  assert.ok(norm(stored.map((v, i) => v - wide[i]!)) < 1e-5 * norm(wide))
})

test('a precision that there is none of is refused', async () => {
  await using model = await load(await tinyCheckpoint(), { weights: 'int3' as 'int4', threads: 1 })
  await assert.rejects(model.generate('red heart').image(), /cannot be held as "int3": wanted is one of f32, f16/)
})
