import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { before, test } from 'node:test'
import { decodePng, describePng, encodePng, type Image } from '../image/index.js'
import type { TaskName } from '../pipelines/tasks/names.js'
import { parseFlags } from '../schema/index.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { tinyCheckpoint } from '../testing/tiny-model.js'
import { taskCommand } from './task.js'

const folder = await temporaryFolder()
before(async () => {
  await writeFile(join(folder, 'tiny.safetensors'), tinyCheckpoint())
  await writeFile(join(folder, 'half.png'), await encodePng(half))
})

const io = {
  out: () => {},
  err: () => {},
  terminal: false,
  clock: () => Date.now() / 1000,
  signal: new AbortController().signal,
}

/** Orange on the left, transparent on the right. */
const half: Image = {
  data: Uint8Array.from({ length: 16 * 16 * 4 }, (_, i) =>
    i % 4 === 3 ? (Math.floor(i / 4) % 16 < 8 ? 255 : 0) : [240, 140, 20][i % 4]!,
  ),
  width: 16,
  height: 16,
  channels: 4,
}

/** Runs the command of a task with the tiny model, a few steps. */
async function run(name: TaskName, ...argv: string[]) {
  const { command, run } = taskCommand(name)
  const common = ['-m', join(folder, 'tiny.safetensors'), '--threads', '1', '--steps', '3', '--seed', '5']
  const written = await run(parseFlags(command, [...common, '-o', join(folder, `${name}.png`), ...argv]) as never, io)
  return Promise.all(written.map(async ({ path }) => ({ path, picture: await decodePng(await readFile(path)) })))
}

test('where a picture is transparent it is painted in, and beside it painted on', async () => {
  const [painted] = await run('inpaint', 'red heart', '--image', join(folder, 'half.png'))
  assert.deepEqual([...painted!.picture.data.subarray(0, 3)], [240, 140, 20])
  assert.notDeepEqual([...painted!.picture.data.subarray(45, 48)], [240, 140, 20])
  const [wider] = await run(
    'outpaint',
    'red heart',
    '--image',
    join(folder, 'half.png'),
    '--left',
    '6',
    '--overlap',
    '0',
  )
  assert.deepEqual([wider!.picture.width, wider!.picture.height], [22, 16])
  assert.deepEqual([...wider!.picture.data.subarray(18, 21)], [240, 140, 20])
})

test('several pictures are numbered, and say what they are', async () => {
  const frames = await run('interpolate', 'red heart', '--to-prompt', 'blue heart', '--frames', '3')
  assert.deepEqual(
    frames.map(({ path }) => path.slice(folder.length + 1)),
    ['interpolate-1.png', 'interpolate-2.png', 'interpolate-3.png'],
  )
  const { parameters } = await describePng(await readFile(frames[1]!.path))
  assert.deepEqual(parameters!.extra, { 'To prompt': 'blue heart', 'To share': '0.5' })
  const half = join(folder, 'half.png')
  const between = await run('interpolate', 'red heart', '--image', half, '--to-image', half, '--frames', '2')
  assert.deepEqual(
    between.map(({ picture }) => picture.width),
    [16, 16],
  )
})

test('pictures that share a seed have names of their own', async () => {
  const named = async (...argv: Parameters<typeof run>) =>
    (await run(...argv, '-o', `${join(folder, 'made')}/`)).map(({ path }) => basename(path))
  assert.deepEqual(await named('variations', 'red heart', '--count', '2'), ['red-heart-5-1.png', 'red-heart-5-2.png'])
  assert.deepEqual(await named('interpolate', 'blue heart', '--to-seed', '6', '--frames', '2'), [
    'blue-heart-5-1.png',
    'blue-heart-5-2.png',
  ])
})

test('what a task needs is asked for by the name of its flag', async () => {
  await assert.rejects(run('image-to-image', 'red heart'), /--image: /)
  await assert.rejects(run('interpolate', 'red heart'), /the way has no end/)
  const half = join(folder, 'half.png')
  await assert.rejects(run('variations', half), ({ name, message }: Error) => {
    assert.equal(name, 'UsageError')
    assert.equal(
      message,
      `latentkit variations: ${half}: a picture where the prompt belongs; did you mean "--image ${half}"?`,
    )
    return true
  })
  const { command } = taskCommand('hires')
  const told = (...argv: string[]) => parseFlags(command, argv)
  assert.throws(() => told('--prompt-style', 'diffusers'), /--prompt-style: found "diffusers", wanted one of "plain", /)
  assert.throws(() => told('--clip-skip', 'two'), /--clip-skip: found "two", wanted a whole number/)
})
