import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { shapesOf } from '../../testing/checkpoint.js'
import { published } from '../../testing/published.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { encodeHeader } from '../../weights/safetensors-header.js'

test('a model is converted in far less memory than it has', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'stage.safetensors')
  // The first stage of Stable Diffusion at three quarters of its width, all zeros: a file with holes.
  const { config } = published.find(({ family }) => family === 'sd1')!
  const { ddconfig, ...stage } = config.first_stage_config as { ddconfig: object }
  const narrower = { ...config, first_stage_config: { ...stage, ddconfig: { ...ddconfig, ch: 96 } } }
  let size = 0
  const entries = [...shapesOf(narrower)].flatMap(([name, { shape }]) => {
    if (!name.startsWith('first_stage_model.')) return []
    const begin = size
    size += shape.reduce((a, b) => a * b, 4)
    return [[name, { dtype: 'F32', shape, offsets: [begin, size] }] as const]
  })
  const header = encodeHeader(entries, new Map())
  const file = await open(path, 'w')
  await file.write(header)
  await file.truncate(header.length + size)
  await file.close()
  const script = `
    const { convert } = await import(${JSON.stringify(new URL('./index.js', import.meta.url).href)})
    const before = process.resourceUsage().maxRSS
    await convert(${JSON.stringify(path)}, ${JSON.stringify(join(folder, 'half.safetensors'))}, { dtype: 'f16' })
    console.log(process.resourceUsage().maxRSS - before)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  const grown = Number(stdout) * 1024
  assert.ok(size > 180e6 && grown < size / 2, `${grown} bytes more for a model of ${size}`)
})
