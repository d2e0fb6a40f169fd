import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { GenerateOptions } from '../pipelines/generation/events.js'
import type { Model } from '../pipelines/model.js'
import { bytesSource } from '../platform/sources.js'
import { toFloat32 } from '../weights/dtypes.js'
import { weightsOf } from '../weights/open-weights.js'
import type { TensorFile } from '../weights/tensor-file.js'

/** What an original program was asked for, in our words. */
export interface PaintedCase {
  readonly prompt?: string
  readonly settings: GenerateOptions
  /** Of the original's picture only what is white here is compared: the rest stays as it was. */
  readonly within?: { readonly data: Uint8Array }
  /** How far latents may be from the original's, by their norm; 1e-5 if not given. */
  readonly tolerance?: number
}

/** What originals painted: a file of fixtures/whole. */
export async function paintedBefore(file: string): Promise<TensorFile> {
  return weightsOf(bytesSource(await readFile(new URL(`../../fixtures/whole/${file}`, import.meta.url)), file))
}

/**
 * Fails unless a model paints what is wanted: `${name}.latents`, to their tolerance, and `${name}.pictures`, the bytes of all
 * pictures or each so many-th of them, to one level.
 */
export async function assertPaints(
  model: Model,
  wanted: TensorFile,
  [name, { prompt = '', settings, within, tolerance = 1e-5 }]: readonly [string, PaintedCase],
): Promise<void> {
  const latents = toFloat32(await wanted.read(`${name}.latents`))
  const { bytes } = await wanted.read(`${name}.pictures`)
  for await (const event of model.generate(prompt, settings)) {
    if (event.type !== 'image') continue
    const { index, image, latents: made } = event
    const own = latents.subarray(index * made.data.length, (index + 1) * made.data.length)
    assert.ok(relative(made.data, own) < tolerance, `${name}: latents are ${relative(made.data, own)} away`)
    const count = (bytes.length * made.data.length) / latents.length
    const each = Math.ceil(image.data.length / count)
    const pixels = bytes.subarray(index * count, (index + 1) * count)
    const far = Array.from(pixels, (value, i) => Math.abs(value - image.data[i * each]!)).filter(
      (_, i) => within?.data[i * each] !== 0,
    )
    assert.ok(Math.max(...far) <= 1, `${name}: a pixel is ${Math.max(...far)} levels away`)
    const mean = far.reduce((sum, value) => sum + value, 0) / far.length
    assert.ok(mean < 5e-3, `${name}: pixels are ${mean} levels away in the mean`)
  }
}

/** L2 norm of the difference, by that of what is wanted. */
function relative(found: Float32Array, wanted: Float32Array): number {
  const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, value) => sum + value ** 2, 0))
  return norm(found.map((value, i) => value - wanted[i]!)) / norm(wanted)
}

/** A picture of a formula for the levels. */
export const pictureOf = (width: number, height: number, level: (x: number, y: number, channel: number) => number) => ({
  width,
  height,
  channels: 3 as const,
  data: Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const pixel = Math.floor(i / 3)
    return level(pixel % width, Math.floor(pixel / width), i % 3)
  }),
})

/** The picture that the originals were given. */
export const slopes = (width: number, height: number) =>
  pictureOf(width, height, (x, y, c) => (x * 3 + y * 2 * (c + 1) + 40 * c) % 256)
