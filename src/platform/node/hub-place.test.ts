import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { FileError } from '../errors.js'
import { hubPlace } from './hub-place.js'

const names = [
  'HF_HUB_CACHE',
  'HUGGINGFACE_HUB_CACHE',
  'HF_HOME',
  'XDG_CACHE_HOME',
  'HF_ENDPOINT',
  'HF_TOKEN',
  'HUGGING_FACE_HUB_TOKEN',
  'HF_TOKEN_PATH',
  'HF_HUB_OFFLINE',
  'TRANSFORMERS_OFFLINE',
]

/** What is found in an environment of these alone. */
async function placeIn(env: Record<string, string>) {
  const before = { ...process.env }
  for (const name of names) delete process.env[name]
  Object.assign(process.env, env)
  try {
    return await hubPlace()
  } finally {
    for (const name of names) delete process.env[name]
    Object.assign(process.env, before)
  }
}

test('the place of the hub is what huggingface_hub makes of the environment', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'token'), 'hf_file\n')
  const caches: [Record<string, string>, string][] = [
    [{}, join(homedir(), '.cache', 'huggingface', 'hub')],
    [{ XDG_CACHE_HOME: '/x' }, join('/x', 'huggingface', 'hub')],
    [{ XDG_CACHE_HOME: '/x', HF_HOME: '~/h' }, join(homedir(), 'h', 'hub')],
    [{ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
    [{ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/new' }, '/new'],
    [{ HF_HUB_CACHE: '', HF_HOME: '/h' }, join('/h', 'hub')],
  ]
  for (const [env, cache] of caches) assert.equal((await placeIn(env)).cache, cache)
  const { endpoint, token, offline } = await placeIn({ HF_HOME: folder })
  assert.deepEqual([endpoint, token, offline], ['https://huggingface.co', 'hf_file', false])
  assert.equal((await placeIn({ HF_HOME: folder, HF_TOKEN: ' hf_env ' })).token, 'hf_env')
  assert.equal((await placeIn({ HF_TOKEN_PATH: join(folder, 'none') })).token, undefined)
  assert.equal((await placeIn({ HF_ENDPOINT: 'https://mirror.example/' })).endpoint, 'https://mirror.example')
  assert.equal((await placeIn({ HF_HUB_OFFLINE: 'TRUE' })).offline, true)
  await assert.rejects(placeIn({ HF_ENDPOINT: 'mirror.example' }), FileError)
})
