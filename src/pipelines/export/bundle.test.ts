import assert from 'node:assert/strict'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readBytes } from '#platform'
import { bytesSource } from '../../platform/sources.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { tinyCheckpoint } from '../../testing/tiny-model.js'
import { openCheckpoint, writeCheckpoint } from '../../weights/checkpoint.js'
import { fromFloat32 } from '../../weights/dtypes.js'
import { load } from '../loading/load.js'
import { bundle } from './bundle.js'

const folder = await temporaryFolder()

test('a bundle is half as large, has no training state, says its licences, and makes nearly the same picture', async () => {
  const whole = join(folder, 'whole.safetensors')
  const half = join(folder, 'half.safetensors')
  const { info, weights, read } = await openCheckpoint(bytesSource(tinyCheckpoint()))
  const tensors = new Map(
    [...weights].map(
      ([name, { dtype, shape }]) => [name, { dtype, shape, bytes: async () => (await read(name)).bytes }] as const,
    ),
  )
  const moment = fromFloat32(new Float32Array(3), [3])
  await writeCheckpoint(whole, {
    info,
    weights: tensors,
    training: { values: { step: 5 }, tensors: new Map([['moment', moment]]) },
  })

  const source = await openCheckpoint(bytesSource(await readBytes(whole)))
  await writeCheckpoint(half, bundle(source, 'CC0-1.0'))
  assert.ok((await stat(half)).size < 0.52 * (await stat(whole)).size)
  const written = await openCheckpoint(bytesSource(await readBytes(half)))
  assert.equal(written.info.licences, 'CC0-1.0')
  assert.deepEqual(written.info.recipe, { trained_steps: 5 })
  assert.equal(written.training, undefined)

  const picture = async (path: string) => {
    await using model = await load(path, { threads: 1 })
    return await model.generate('red heart', { seed: 1, steps: 4 }).image()
  }
  const [a, b] = [await picture(whole), await picture(half)]
  const mean = Array.from(a.data, (value, i) => Math.abs(value - b.data[i]!)).reduce((x, y) => x + y) / a.data.length
  assert.ok(mean < 3, `${mean} levels apart`)
})

test('weights beyond the range of float16 are refused', async () => {
  const bytes = tinyCheckpoint()
  new DataView(bytes.buffer, bytes.byteOffset).setFloat32(bytes.length - 4, 1e6, true)
  const path = join(folder, 'large.safetensors')
  await writeFile(path, bytes)
  const contents = bundle(await openCheckpoint(bytesSource(bytes, 'large.safetensors')), '')
  await assert.rejects(writeCheckpoint(path, contents), /large\.safetensors: ".*" holds numbers that float16 cannot/)
})
