import assert from 'node:assert/strict'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { encodePng } from '../image/index.js'
import { FileError } from '../platform/errors.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { fingerprint, inspectFolder, openFolder, splitDataset } from './index.js'

const emoji = fileURLToPath(new URL('../../fixtures/data/emoji', import.meta.url))
const root = await temporaryFolder()
const picture = await encodePng({ data: new Uint8Array(192).fill(200), width: 8, height: 8, channels: 3 })

let folders = 0
/** A new folder with these files; `true` stands for a picture. */
async function folderOf(files: Record<string, string | Uint8Array | true>): Promise<string> {
  const folder = join(root, String(folders++))
  await mkdir(folder)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content === true ? picture : content)
  }
  return folder
}

const lines = (...records: unknown[]) => records.map(record => JSON.stringify(record)).join('\n')

test('records give captions, labels and the split', async () => {
  const dataset = await openFolder(emoji)
  assert.equal(dataset.pictures.length, 12)
  const heart = dataset.pictures.find(({ file }) => file === 'images/noto/2764.png')!
  assert.deepEqual(heart.captions.slice(0, 2), ['red heart, noto emoji', 'noto style emoji of red heart'])
  const { train, heldOut } = splitDataset(dataset)
  assert.deepEqual([train.length, heldOut.length], [10, 2])
  assert.deepEqual(dataset.labels, [])
})

test('labels come from the names of folders, captions from text files beside the pictures', async () => {
  const folder = await folderOf({
    'cat/a.png': true,
    'cat/a.txt': 'a cat\n\nsmall cat\n',
    'dog/b.PNG': true,
    '.x/c.png': true,
  })
  const { pictures, labels } = await openFolder(folder)
  assert.deepEqual(labels, ['cat', 'dog'])
  assert.deepEqual(
    pictures.map(({ file, captions, label }) => [file, captions, label]),
    [
      ['cat/a.png', ['a cat', 'small cat'], 'cat'],
      ['dog/b.PNG', [], 'dog'],
    ],
  )
  const flat = await openFolder(await folderOf({ 'only/a.png': true, 'only/b.png': true }))
  assert.deepEqual([flat.labels, flat.pictures[0]!.label], [[], undefined])
})

test('nested caption files begin at their own folder, and several records of one picture add up', async () => {
  const folder = await folderOf({
    'one/captions.jsonl': lines(
      { image: './a.png', caption: 'first', label: 3, split: 'val' },
      { file: 'a.png', captions: ['second', 'first', ' '] },
    ),
    'one/a.png': true,
    'two/b.png': true,
  })
  const { pictures, labels } = await openFolder(folder)
  assert.deepEqual(pictures[0], {
    file: 'one/a.png',
    size: picture.length,
    captions: ['first', 'second'],
    label: '3',
    split: 'val',
  })
  assert.deepEqual(labels, ['3'])
})

test('classes, boxes and label maps come from records; maps beside their pictures are no pictures', async () => {
  const boxes = [{ label: 'cat', box: [0, 0.25, 0.5, 0.75] }]
  const folder = await folderOf({
    'captions.jsonl': lines(
      { file: 'a.png', class: 'pet', boxes, map: 'maps/a.png' },
      { file: 'b.png', class: 'wild' },
      { file: 'a.png', boxes: [{ label: 'cat', box: [0.5, 0, 0.6, 1] }] },
    ),
    'a.png': true,
    'maps/a.png': true,
    'b.png': true,
    'b.map.png': true,
  })
  const { pictures, labels, brokenCaptions } = await openFolder(folder, { maxBrokenShare: 0.5 })
  assert.deepEqual(
    pictures.map(({ file, label, map }) => [file, label, map]),
    [
      ['a.png', 'pet', 'maps/a.png'],
      ['b.png', 'wild', 'b.map.png'],
    ],
  )
  assert.deepEqual([pictures[0]!.boxes, labels], [boxes, ['pet', 'wild']])
  assert.match(brokenCaptions[0]!.reason, /"boxes\.0\.box": \[0\.5, 0, 0\.6, 1\] reaches outside the picture/)
  const lost = await folderOf({ 'a.png': true, 'captions.jsonl': lines({ file: 'a.png', map: 'gone.png' }) })
  await assert.rejects(openFolder(lost), /gone\.png: is missing; captions\.jsonl line 1 names it as the map of a\.png/)
})

test('broken lines are told by file and line, counted, and too many are refused', async () => {
  const good = Array.from({ length: 38 }, (_, i) => ({ file: 'a.png', caption: `caption ${i}` }))
  const text = `${lines(...good)}\n{"file": "a.png", "caption": 7}\n{"file": "a.p`
  const folder = await folderOf({ 'a.png': true, 'captions.jsonl': text })
  const { brokenCaptions } = await openFolder(folder)
  assert.deepEqual(
    brokenCaptions.map(({ place }) => place),
    ['captions.jsonl line 39', 'captions.jsonl line 40'],
  )
  const { warnings } = await inspectFolder(folder)
  assert.ok(warnings.some(warning => warning.includes('2 captions cannot be used: captions.jsonl line 39 "caption"')))
  await assert.rejects(openFolder(folder, { maxBrokenShare: 0.01 }), (error: Error) => {
    assert.ok(error instanceof FileError)
    assert.match(error.message, /captions\.jsonl line 39: .*2 of 40 captions are broken.*line 40 is not JSON/)
    return true
  })
  const hostile = [
    'null',
    '[]',
    '{"file": ""}',
    '{"caption": "x"}',
    '{"file": "a.png", "captions": [{}]}',
    '['.repeat(1e5),
  ]
  await assert.rejects(openFolder(await folderOf({ 'a.png': true, 'captions.jsonl': hostile.join('\n') })), /6 of 6/)
  const binary = await folderOf({ 'a.png': true, 'a.txt': Uint8Array.of(255, 254, 0) })
  await assert.rejects(openFolder(binary), /a\.txt.*not UTF-8/)
})

test('missing pictures are refused by name, or skipped and counted; nothing outside the folder is read', async () => {
  const records = lines({ file: 'a.png' }, { file: 'gone.png' }, { file: '../0/a.png' }, { file: '/etc/passwd' })
  const folder = await folderOf({ 'a.png': true, 'captions.jsonl': records })
  await assert.rejects(openFolder(folder), /gone\.png: is missing; captions\.jsonl line 2 names it; so are 2 more/)
  const { pictures, skipped } = await openFolder(folder, { badPictures: 'skip' })
  assert.deepEqual(
    pictures.map(({ file }) => file),
    ['a.png'],
  )
  assert.equal(skipped.length, 3)
})

test('damaged pictures are skipped and counted where that is wanted', async () => {
  const folder = await folderOf({ 'a.png': true, 'b.png': picture.subarray(0, 50), 'c.png': '<html>' })
  const { pictures, skipped } = await openFolder(folder, { badPictures: 'skip' })
  assert.equal(pictures.length, 1)
  assert.match(skipped[0]!.reason, /b\.png.*cut off/)
  assert.match(skipped[1]!.reason, /c\.png.*no picture of a known kind/)
  const all = await folderOf({ 'b.png': picture.subarray(0, 50) })
  await assert.rejects(openFolder(all, { badPictures: 'skip' }), /holds 1 pictures, all damaged/)
})

test('an empty or wrong folder: what was looked for and what was found', async () => {
  await assert.rejects(openFolder(join(root, 'nowhere')), /nowhere: does not exist; a folder of pictures is wanted/)
  await assert.rejects(openFolder(join(emoji, 'captions.jsonl')), /is a file; a folder of pictures is wanted/)
  await assert.rejects(openFolder(await folderOf({})), /looked for \.png.*found no files/)
  const wrong = await folderOf({
    'a.pdf': 'x',
    'b.pdf': 'x',
    'all.zip': 'x',
    'captions.jsonl': lines({ file: 'a.png' }),
  })
  await assert.rejects(openFolder(wrong), /found 2 \.pdf, 1 \.zip.*unpack the archives.*1 records name pictures/)
})

test('a share is held out by name, whatever else is in the folder', () => {
  const pictures = Array.from({ length: 4000 }, (_, i) => ({ file: `${i}.png`, size: 1, captions: [] }))
  const { train, heldOut } = splitDataset({ pictures }, { share: 0.1 })
  assert.equal(train.length + heldOut.length, 4000)
  assert.ok(Math.abs(heldOut.length - 400) < 80)
  const fewer = splitDataset({ pictures: pictures.slice(0, 2000) }, { share: 0.1 })
  assert.deepEqual(
    fewer.heldOut,
    heldOut.filter(i => i < 2000),
  )
  assert.equal(splitDataset({ pictures }, { share: 0 }).heldOut.length, 0)
})

test('the fingerprint tells captions, sizes and the transform apart, not where the folder lies', async () => {
  const dataset = await openFolder(emoji)
  const copy = join(root, 'copy')
  await cp(emoji, copy, { recursive: true })
  const print = await fingerprint(dataset, { size: 64, flip: true })
  assert.match(print, /^[0-9a-f]{64}$/)
  assert.equal(await fingerprint(await openFolder(copy), { flip: true, size: 64 }), print)
  assert.notEqual(await fingerprint(dataset, { size: 65, flip: true }), print)
  const [first, ...rest] = dataset.pictures
  for (const change of [{ captions: ['x'] }, { size: 1 }, { file: 'x' }, { split: 'x' }]) {
    assert.notEqual(
      await fingerprint({ pictures: [{ ...first!, ...change }, ...rest] }, { size: 64, flip: true }),
      print,
    )
  }
})

test('the report says what is there', async () => {
  const report = await inspectFolder(emoji)
  assert.deepEqual(report.sizes, [{ width: 128, height: 128, count: 12 }])
  assert.deepEqual(report.kinds, [{ kind: '.png', count: 12 }])
  assert.deepEqual(report.shorterSide, { min: 128, median: 128, max: 128 })
  assert.deepEqual([report.captioned, report.captions], [12, 36])
  assert.deepEqual(report.warnings, ['There are 12 pictures; below about 1000 a model learns them by heart'])
  const damaged = await inspectFolder(await folderOf({ 'a.png': picture.subarray(0, 50), 'a.txt': 'x', 'b.png': true }))
  const warnings = damaged.warnings.join('; ')
  assert.match(warnings, /a\.png.*cut off.*1 of 2 pictures have no caption/)
})
