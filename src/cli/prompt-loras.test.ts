import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { FileError } from '../platform/errors.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { lorasNamed } from './prompt-loras.js'

test('a prompt finds the LoRAs that it names, in folders below too', async () => {
  const folder = await temporaryFolder()
  for (const name of ['inks', 'pens']) await mkdir(join(folder, name))
  for (const name of [
    'ink.safetensors',
    'inks/ink.pt',
    'inks/blue.v2.ckpt',
    'inks/red.gguf',
    'pens/red.gguf',
    'notes.txt',
  ])
    await writeFile(join(folder, name), '')
  const named = (prompt: string) => lorasNamed(prompt, folder)
  assert.deepEqual(await named('a cat <lora:ink:0.7> <lora:blue.v2:-1:0.5>, <lora:pens/red>'), [
    { file: join(folder, 'ink.safetensors'), weight: 0.7 },
    { file: join(folder, 'inks', 'blue.v2.ckpt'), weight: 0.5, textWeight: -1 },
    { file: join(folder, 'pens', 'red.gguf'), weight: 1 },
  ])
  assert.deepEqual(await lorasNamed('a cat', join(folder, 'none')), [])
  await assert.rejects(named('<lora:red:1>'), /several LoRAs of the name "red".*inks\/red, pens\/red/)
  await assert.rejects(named('<lora:../ink:1>'), /no LoRA of the name "\.\.\/ink".*there is ink, inks\/blue\.v2/)
  await assert.rejects(lorasNamed('<lora:a:1>', join(folder, 'none')), FileError)
})
