import { existsSync } from 'node:fs'
import { openReference } from '../../dist/cli/evaluate-sources.js'
import { throughFirstStage } from '../../dist/cli/reconstruct.js'
import {
  collectFeatures,
  load,
  measure,
  openCheckpoint,
  openExtractor,
  psnr,
  readStatistics,
  writeStatistics,
} from '../../dist/index.js'
import { size } from './recipes.js'
import { processorSeconds } from './training.js'

/** What measures a study: Fréchet distances to all photographs that are trained on, whose statistics are kept in a file. */
export async function openMeasures({ device, photographs, file, samples, steps, threads, stop }) {
  const extractor = await openExtractor(device)
  const distanceOf = async (pictures, real) => {
    const set = await featuresOf(extractor, pictures, stop)
    return measure(set, real, ['frechet'])[0]
  }
  if (!existsSync(file)) {
    const all = await openReference(photographs, { share: 'train', size })
    await writeStatistics(file, await featuresOf(extractor, picturesOf(all), stop))
  }
  const real = await readStatistics(file, extractor.network)

  return {
    /** Of what a first stage, the identity without one, makes of as many photographs as are sampled, and of held-out ones. */
    async reconstructions(path) {
      const checkpoint = path && (await openCheckpoint(path))
      const compiled = new Map()
      const pairs = async function* (share, most) {
        const some = await openReference(photographs, { share, samples: most, size })
        for await (const before of picturesOf(some))
          yield checkpoint
            ? await throughFirstStage(device, checkpoint, before, path, compiled)
            : { before, after: before }
      }
      const after = async function* () {
        for await (const pair of pairs('train', samples)) yield pair.after
      }
      try {
        const { value: distance, pictures } = await distanceOf(after(), real)
        if (!checkpoint) return { distance, pictures }
        const decibels = []
        for await (const pair of pairs('held-out')) decibels.push(psnr(pair.before, pair.after))
        return { distance, pictures, psnr: decibels.reduce((sum, x) => sum + x, 0) / decibels.length }
      } finally {
        for (const run of compiled.values()) await run.dispose()
        await checkpoint?.close()
      }
    },

    /** Of pictures that a diffusion model samples, with how many a second of the processor gives. */
    async samples(path) {
      const model = await load(path, { threads })
      const pictures = []
      let begin
      try {
        const settings = { seed: 0, count: samples, batch: 16, steps, guidance: 1, sampler: 'ddim', signal: stop }
        for await (const event of model.generate('', settings)) {
          if (event.type === 'start') begin = processorSeconds()
          if (event.type === 'image') pictures.push(event.image)
        }
      } finally {
        await model.dispose()
      }
      const rate = samples / (processorSeconds() - begin)
      const { value: distance, name } = await distanceOf(pictures, real)
      return { distance, name, rate, against: real.moments.rows }
    },

    close: () => extractor[Symbol.asyncDispose](),
  }
}

async function featuresOf(extractor, pictures, stop) {
  const collector = collectFeatures(extractor, { keep: 1 })
  for await (const picture of pictures) {
    stop.throwIfAborted()
    await collector.add(picture)
  }
  return collector.done()
}

async function* picturesOf({ indices, picture }) {
  for (const index of indices) yield picture(index)
}
