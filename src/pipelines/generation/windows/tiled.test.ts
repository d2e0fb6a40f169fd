import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Image } from '../../../image/index.js'
import { openDevice } from '../../../runtime/index.js'
import type { Program } from '../../../tensor/program.js'
import { checkpointModel } from '../../loading/checkpoint-model.js'
import { bundledModel } from '../../loading/load.js'
import { openModelFile } from '../../loading/model-file.js'
import { decode } from '../decode.js'
import { encode } from '../encode.js'
import { partsOf } from '../parts.js'

const side = 256

/** Colours that rise evenly, where a seam would show most. */
const smooth: Image = {
  data: Uint8Array.from({ length: side * side * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % side, Math.floor(i / 3 / side)]
    return [x, y, 255 - (x + y) / 2][i % 3]!
  }),
  width: side,
  height: side,
  channels: 3,
}

/** How far colours change from each column to the next, in the mean. */
const changes = ({ data }: Image) =>
  Array.from({ length: side - 1 }, (_, x) => {
    let sum = 0
    for (let y = 0; y < side; y++)
      for (let c = 0; c < 3; c++) sum += Math.abs(data[(y * side + x + 1) * 3 + c]! - data[(y * side + x) * 3 + c]!)
    return sum / side / 3
  })

const meanDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a, (value, i) => Math.abs(value - b[i]!)).reduce((sum, d) => sum + d, 0) / a.length

test('by tiles a smooth picture is decoded as at once, without seams', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  const checkpoint = await openModelFile(bundledModel(), {})
  const model = checkpointModel(checkpoint)
  const compile = (program: Program) => device.compile(program, { weights: model.weights })
  const size = { width: side, height: side }
  const whole = partsOf(model.config, size, compile)
  const parts = partsOf(model.config, { ...size, tile: { width: 128, height: 128 } }, compile)
  const latents = await encode({ model, parts: whole, signal: undefined }, smooth)
  const [[once], [tiled]] = [
    await decode({ parts: whole, signal: undefined }, size, [latents.data]),
    await decode({ parts, signal: undefined }, size, [latents.data]),
  ]
  const off = meanDifference(tiled!.data, once!.data)
  assert.ok(off < 2, `differs by ${off} of 255 levels in the mean`)
  // At the picture's own borders both change fast.
  const [most, usual] = [tiled!, once!].map(picture => Math.max(...changes(picture).slice(8, -8)))
  assert.ok(most! < 1.5 * usual!, `changes by ${most} from one column to the next, decoded at once by ${usual}`)
  await checkpoint.close()
})
