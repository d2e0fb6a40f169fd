import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openHubServer } from '../testing/hub-server.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { tinyCheckpoint } from '../testing/tiny-model.js'

const program = fileURLToPath(new URL('./main.js', import.meta.url))
const folder = await temporaryFolder()

test('a pulled model is used by its name, without the network', async () => {
  const latentkit = (endpoint: string, ...argv: string[]) =>
    new Promise<{ status: number; out: string; err: string }>(resolve => {
      const env = { ...process.env, HF_HOME: folder, HF_ENDPOINT: endpoint }
      execFile(process.execPath, [program, ...argv], { cwd: folder, env }, (error, out, err) =>
        resolve({ status: error ? Number(error.code) : 0, out, err }),
      )
    })
  const nowhere = 'http://127.0.0.1:9'
  const generate = ['generate', '', '--model', 'org/name', '--threads', '1', '--steps', '2', '-o', 'picture.png']
  const before = await latentkit(nowhere, ...generate)
  assert.equal(before.status, 1)
  assert.match(before.err, /latentkit pull org\/name/)

  await using server = await openHubServer({ 'model.safetensors': tinyCheckpoint() })
  const pulled = await latentkit(server.endpoint, 'pull', 'org/name', '--json')
  assert.equal(pulled.status, 0, pulled.err)
  const { data } = JSON.parse(pulled.out)
  assert.equal(data.path, join(folder, 'hub', 'models--org--name', 'snapshots', server.commit))
  assert.deepEqual(
    data.files.map((file: { name: string }) => file.name),
    ['model.safetensors'],
  )
  const plain = await latentkit(server.endpoint, 'pull', 'org/name:model.safetensors')
  assert.equal(plain.out, `${join(data.path, 'model.safetensors')}\n`)

  const picture = await latentkit(nowhere, ...generate)
  assert.equal(picture.status, 0, picture.err)
  assert.equal(picture.out, 'picture.png\n')
})
