// A checkpoint of Stable Diffusion 1.5's size with random weights, written one tensor at a time, in float16.
import { readFile } from 'node:fs/promises'
import { modelConfig } from '../../dist/pipelines/model-config.js'
import { conditionProgram, decodingProgram, denoisingProgram } from '../../dist/pipelines/programs.js'
import { published } from '../../dist/testing/published.js'
import { vocabularyText } from '../../dist/text/index.js'
import { writeCheckpoint } from '../../dist/weights/checkpoint.js'
import { fromFloat32 } from '../../dist/weights/dtypes.js'

const { config } = published.find(({ family }) => family === 'sd1')
export const model = modelConfig.parse(config)
const size = { width: 512, height: 512 }
export const denoiser = denoisingProgram(model, size)

/** Uniform numbers in [-1, 1), the same for the same seed: Marsaglia's xorshift. */
export function uniform(length, seed) {
  let state = seed * 2654435761 || 1
  return Float32Array.from({ length }, () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state / 2 ** 31
  })
}

/** As torch would start it; what starts at zero in the original gets weights as well, or nothing of it would show. */
function startOf({ shape, init }, seed) {
  const length = shape.reduce((product, n) => product * n, 1)
  if (init.kind === 'constant' && shape.length === 1) return new Float32Array(length).fill(init.value)
  const fanIn = shape.slice(1).reduce((product, n) => product * n, 1)
  const bound = init.kind === 'uniform' ? init.bound : init.kind === 'normal' ? init.std * Math.sqrt(3) : fanIn ** -0.5
  return uniform(length, seed).map(x => x * bound)
}

export async function writeRandomCheckpoint(path, { whole = true } = {}) {
  const programs = whole ? [denoiser, decodingProgram(model, size), conditionProgram(model, size)] : [denoiser]
  const parameters = new Map(programs.flatMap(({ parameters }) => parameters.map(p => [p.name, p])))
  const weights = new Map(
    [...parameters.values()].map((p, i) => [
      p.name,
      { dtype: 'F16', shape: p.shape, bytes: async () => fromFloat32(startOf(p, i + 1), p.shape, 'F16').bytes },
    ]),
  )
  const file = new URL('../../models/clip-merges.txt.gz', import.meta.url)
  const merges = await vocabularyText(await readFile(file), 'clip-merges.txt.gz')
  const vocabulary = JSON.stringify({ kind: 'clip', merges })
  await writeCheckpoint(path, { info: { library: '0', config, vocabulary }, weights })
}
