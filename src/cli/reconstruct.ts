import { basename, extname, join } from 'node:path'
import { z } from 'zod'
import { processor, readBytes, writeFileAtomic } from '#platform'
import { crop, decodeImage, encodePng, flatten, type Image, imageToPixels, pixelsToImage } from '../image/index.js'
import { psnr } from '../metrics/psnr.js'
import { ssim } from '../metrics/ssim.js'
import { openModelFile } from '../pipelines/loading/model-file.js'
import { factorOf, modelConfig } from '../pipelines/model-config.js'
import { decodeFirstStage, encodeImages } from '../pipelines/networks.js'
import { FileError } from '../platform/errors.js'
import { type Device, type Executable, hostTensor, openDevice } from '../runtime/index.js'
import { type Command, validate } from '../schema/index.js'
import { trace } from '../tensor/program.js'
import { f32 } from '../tensor/tensor.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import { deviceFlags } from './flags.js'
import type { Io } from './io.js'

export const reconstructCommand = {
  name: 'reconstruct',
  summary: 'Send pictures through a first stage and back, and measure what is lost',
  details:
    'Writes NAME.png for each picture into --out and tells how near it is: the limit of what a model over this first stage can paint.',
  options: z.strictObject({
    model: z.string().meta({ positional: true }).describe('a checkpoint that holds a first stage'),
    pictures: z.array(z.string()).min(1).meta({ positional: true }).describe('PNG, JPEG, WebP, GIF or AVIF files'),
    out: z
      .string()
      .default('reconstructions')
      .meta({ short: 'o', placeholder: 'FOLDER' })
      .describe('where they are written'),
    ...deviceFlags,
    json: z.boolean().default(false).describe('one JSON object for all pictures'),
  }),
  examples: [
    { line: 'latentkit reconstruct model.safetensors cat.png dog.jpg', what: 'both pictures, with PSNR and SSIM' },
  ],
} satisfies Command

/** One picture's way through a first stage. */
export interface Reconstruction {
  readonly picture: string
  readonly written: string
  readonly width: number
  readonly height: number
  /** Decibels. */
  readonly psnr: number
  readonly ssim: number
}

/** `latentkit reconstruct`. Pictures are cut at the right and below to sizes that the first stage can halve. */
export async function reconstruct(
  flags: z.output<typeof reconstructCommand.options>,
  io: Io,
): Promise<Reconstruction[]> {
  const checkpoint = await openModelFile(flags.model)
  const device = await openDevice(flags.device, { threads: flags.threads ?? processor().threads })
  const results: Reconstruction[] = []
  try {
    const compiled = new Map<string, Executable>()
    for (const picture of flags.pictures) {
      io.signal.throwIfAborted()
      const original = flatten(await decodeImage(await readBytes(picture), { file: picture }))
      const { before, after } = await throughFirstStage(device, checkpoint, original, picture, compiled)
      const written = join(flags.out, `${basename(picture, extname(picture))}.png`)
      await writeFileAtomic(written, await encodePng(after))
      const { width, height } = after
      const result = { picture, written, width, height, psnr: psnr(before, after), ssim: ssim(before, after).mean }
      results.push(result)
      if (!flags.json) io.out(`${written}  PSNR ${result.psnr.toFixed(2)} dB  SSIM ${result.ssim.toFixed(4)}\n`)
    }
  } finally {
    await device.dispose()
    await checkpoint.close()
  }
  return results
}

/** A picture cut to a size that the first stage can halve, and what comes back of it; programs are kept by size. */
export async function throughFirstStage(
  device: Device,
  checkpoint: Checkpoint,
  original: Image,
  name: string,
  compiled: Map<string, Executable>,
): Promise<{ before: Image; after: Image }> {
  const config = validate(modelConfig, checkpoint.info.config, `${checkpoint.name}: config`)
  const factor = factorOf(config)
  const [width, height] = [original.width, original.height].map(size => size - (size % factor)) as [number, number]
  if (width === 0 || height === 0) {
    throw new FileError(name, `is ${original.width}x${original.height} pixels; the first stage wants ${factor} or more`)
  }
  const before = crop(original, 0, 0, width, height)
  const key = `${width}x${height}`
  let run = compiled.get(key)
  if (run === undefined) {
    const program = trace({ images: f32(1, 3, height, width) }, (at, { images }) => ({
      reconstructions: decodeFirstStage(at, config, encodeImages(at, config, images).mean),
    }))
    compiled.set(key, (run = await device.compile(program, { weights: checkpoint.weights })))
  }
  const { reconstructions } = await run({ images: hostTensor(imageToPixels(before), [1, 3, height, width]) })
  return { before, after: pixelsToImage(reconstructions!.data as Float32Array, width, height) }
}
