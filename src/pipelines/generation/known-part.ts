import type { Level } from '../../diffusion/index.js'
import { carried, keepKnown, knownPrediction } from '../../guidance/index.js'
import type { Image, Size } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import {
  type BatchNoise,
  type Before,
  type Keeping,
  type Noise,
  type ProfileName,
  profiles,
  type SamplingModel,
} from '../../samplers/index.js'
import type { Plan } from '../settings/plan.js'
import { drawnLatents, type Encoded } from './encode.js'
import { joined } from './noise.js'
import type { Batch, Known } from './stage.js'

/** From this grey level on a pixel of a mask is white: the same as for models that are told of the mask. */
const white = 128

interface KnownPicture {
  readonly picture: Image
  readonly mask: Image
  readonly latents: Encoded
  /** The tool whose way it is to decide which latents are painted. */
  readonly profile: ProfileName | undefined
  /** Whether the model is told of picture and mask as well. */
  readonly told: boolean
}

/** The part of a picture that is not painted: in its latents, and in the finished picture. */
export function knownPart({ picture, mask, latents, profile, told }: KnownPicture) {
  const levels = Float32Array.from(
    { length: mask.data.length / 3 },
    (_, i) => (mask.data[3 * i]! + mask.data[3 * i + 1]! + mask.data[3 * i + 2]!) / 3,
  )
  if (!levels.some(level => level >= white))
    throw new LatentkitError('generate: mask is black: there is nothing to paint; make white what is to be painted')
  const [, h, w] = latents.shape
  const size = { width: w, height: h }
  const rules = inpaintingOf({ profile })
  const share = rules?.share?.(
    levels.map(level => level / 255),
    picture,
    size,
  )
  const kept = share ? share.map(value => 1 - value) : keptWhole(levels, picture, size)
  const { data: original, deviations } = latents
  const known: Known = { original, deviations, kept: told ? shrunk(kept, size, rules?.margin ?? 0) : kept }
  return {
    latents: known,
    finish: (painted: Image): Image => ({
      ...painted,
      data: painted.data.map((value, i) => {
        const share = levels[Math.floor(i / 3)]! / 255
        return Math.round(share * value + (1 - share) * picture.data[i]!)
      }),
    }),
  }
}

/** 1 for latents that stay: one is painted as soon as a single pixel that it stands for is. */
function keptWhole(levels: Float32Array, from: Size, { width, height }: Size): Float32Array {
  const factor = from.width / width
  const kept = new Float32Array(width * height).fill(1)
  for (const [i, level] of levels.entries()) {
    const [x, y] = [i % from.width, Math.floor(i / from.width)].map(at => Math.floor(at / factor)) as [number, number]
    if (level >= white) kept[y * width + x] = 0
  }
  return kept
}

/** The least of what is kept within so many latents of each. */
function shrunk(kept: Float32Array, { width, height }: Size, by: number): Float32Array {
  const near = (at: number, size: number) => [Math.max(at - by, 0), Math.min(at + by, size - 1)] as const
  return kept.map((_, i) => {
    const [left, right] = near(i % width, width)
    const [top, bottom] = near(Math.floor(i / width), height)
    let least = 1
    for (let y = top; y <= bottom; y++)
      for (let x = left; x <= right; x++) least = Math.min(least, kept[y * width + x]!)
    return least
  })
}

const inpaintingOf = ({ profile }: Pick<Plan, 'profile'>) => profile && profiles[profile].inpainting

/** How a plan's tool keeps the known part. */
const keepingOf = (plan: Pick<Plan, 'profile' | 'sampler'>): Keeping =>
  inpaintingOf(plan)?.keeping(plan.sampler) ?? 'predicted'

/** What keeps the known part of a batch's pictures on their way. */
export interface Keeper {
  /** Changes the batch before each step. */
  readonly before?: Before
  /** The network that sees the known part, and predicts it as it is. */
  around<Asked extends AskedNetwork>(asked: Asked): Asked
  /** What is done to the batch at the end of its way. */
  end(x: Float32Array): Float32Array
}

/** What a batch's way begins with. */
interface Begun {
  readonly noise: BatchNoise
  readonly level: Level
}

type AskedNetwork = Pick<SamplingModel, 'network' | 'parameterization'>

/** Keeps the known part of each picture of a batch as a plan's tool does. */
export function keeperOf(
  plan: Plan,
  { original, deviations, kept }: Known,
  { shape: [images, ...one] }: Batch,
  { noise, level: begun }: Begun,
): Keeper {
  if (inpaintingOf(plan)?.encodesRest) noise.next()
  const each = <T>(of: T) => Array.from({ length: images }, () => of)
  const encoded: Encoded = { data: original, shape: one, ...(deviations && { deviations }) }
  const x0 = noise.encoded ? drawnLatents(each(encoded), noise.encoded) : joined(each(original))
  const shape: Batch['shape'] = [images, ...one]
  const keep = (noise: Noise) => keepKnown({ x0, mask: joined(each(kept)), shape, noise })
  const clean = (x: Float32Array) => keep(() => x0)(x, { alpha: 1, sigma: 0 })
  const end = inpaintingOf(plan)?.restores ? clean : (x: Float32Array) => x
  const predicted = <Asked extends AskedNetwork>(asked: Asked): Asked => ({
    ...asked,
    async network(x: Float32Array, t: number, level: Level) {
      const { network, parameterization } = asked
      const answer = await network(x, t, level)
      const known = (raw: Float32Array) => knownPrediction(raw, { x, level, parameterization, shape, x0, kept })
      return answer instanceof Float32Array ? known(answer) : { ...answer, image: known(answer.image) }
    },
  })
  switch (keepingOf(plan)) {
    case 'predicted':
      return { around: predicted, end }
    case 'before':
      return { around: asked => asked, end, before: keep(noise.next) }
    case 'noised': {
      const noised = keep(noise.known ?? noise.start)
      // What began with noise alone is that until the first step.
      const as: ShownOptions['as'] = inpaintingOf(plan)?.fromNoise
        ? (x, level) => (level.sigma < begun.sigma ? noised(x, level) : x)
        : noised
      return { around: asked => predicted(shown(asked, { as, holds: 'image' })), end }
    }
    case 'clean':
      return { around: asked => shown(asked, { as: clean, holds: 'noise' }), end }
  }
}

interface ShownOptions {
  /** What is shown in place of a batch. */
  as(x: Float32Array, level: Level): Float32Array
  /** What of the answer is taken for the batch itself. */
  readonly holds: 'image' | 'noise'
}

/** A network that is shown something else than the batch it is asked about. */
function shown<Asked extends AskedNetwork>(asked: Asked, { as, holds }: ShownOptions): Asked {
  const { network, parameterization } = asked
  return {
    ...asked,
    async network(x: Float32Array, t: number, level: Level) {
      const from = as(x, level)
      const answer = await network(from, t, level)
      const carry = (raw: Float32Array) => carried(raw, { from, to: x, level, parameterization, holds })
      if (answer instanceof Float32Array) return carry(answer)
      return { image: carry(answer.image), noise: carry(answer.noise) }
    },
  }
}
