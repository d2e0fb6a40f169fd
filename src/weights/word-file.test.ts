import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { FileError } from '../platform/errors.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { fromFloat32, toFloat32 } from './dtypes.js'
import { encodeSafetensors, readSafetensors, writeSafetensors } from './safetensors.js'
import { readWords, writeWord, writeWordForA1111 } from './word-file.js'

const folder = await temporaryFolder()

const vectors = Float32Array.of(1, -2, 3.5, 4, 5, 6)
const learned = { word: '<my-cat>', width: 3, vectors }

test('a word is read as it was written, in both formats', async () => {
  const path = join(folder, 'word.safetensors')
  await writeWord(path, learned)
  assert.deepEqual(await readWords(path), [learned])
  const torch = join(folder, 'my-cat.pt')
  await writeWordForA1111(torch, learned, 12)
  assert.deepEqual(await readWords(torch), [{ ...learned, word: 'my-cat' }], 'there the file is called as the word')
  // By these bytes torch.load tells its archives.
  assert.equal((await readFile(torch)).subarray(0, 4).toString('latin1'), 'PK\x03\x04')
})

test('an embedding of the first implementation is read, whose ids are tensors too', async () => {
  const folder = new URL('../../fixtures/conformance/formats/torch_good/', import.meta.url)
  const [word] = await readWords(new URL('textual_inversion.pt', folder))
  const expected = readSafetensors(await readFile(new URL('textual_inversion.expected.safetensors', folder))).tensors
  assert.equal(word!.word, 'textual_inversion')
  assert.deepEqual(word!.vectors, toFloat32(expected.get('string_to_param.*')!))
})

test('single vectors and the web interfaces’ safetensors are read, other files refused', async () => {
  const one = join(folder, 'cat.safetensors')
  await writeSafetensors(one, new Map([['emb_params', fromFloat32(vectors, [2, 3])]]))
  assert.deepEqual(await readWords(one), [{ ...learned, word: 'cat' }])
  await writeSafetensors(one, new Map([['<s1>', fromFloat32(vectors, [6])]]))
  assert.deepEqual(await readWords(one), [{ word: '<s1>', width: 6, vectors }])
  const refused = (tensor: string, shape: number[], reason: RegExp) =>
    assert.rejects(
      readWords(encodeSafetensors(new Map([[tensor, fromFloat32(vectors, shape)]]))),
      (error: Error) => error instanceof FileError && reason.test(error.message),
    )
  await refused('conv.weight', [1, 2, 3], /"conv.weight" of shape \[1,2,3\]; wanted is an embedding/)
  const xl = join(folder, 'xl-cat.safetensors')
  await writeSafetensors(
    xl,
    new Map([
      ['clip_l', fromFloat32(vectors, [2, 3])],
      ['clip_g', fromFloat32(vectors, [1, 6])],
    ]),
  )
  assert.deepEqual(
    (await readWords(xl)).map(({ word, width }) => [word, width]).sort((a, b) => Number(a[1]) - Number(b[1])),
    [
      ['xl-cat', 3],
      ['xl-cat', 6],
    ],
  )
  const broken = join(folder, 'broken.pt')
  await writeFile(broken, 'PK')
  await assert.rejects(readWords(broken), FileError)
})
