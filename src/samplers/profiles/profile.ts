import {
  type Level,
  type Levels,
  type Parameterization,
  type SamplingSchedule,
  type ScheduleOptions,
  type Step,
  schedules,
  sigmaOfNoSignal,
} from '../../diffusion/index.js'
import type { Size } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import type { PromptStyleName } from '../../text/prompt/index.js'
import type { SampleOptions, SamplerName, SigmaLoop } from '../table.js'
import type { BatchNoise, NoiseRequest, NoiseSource } from './draws.js'

/** What a tool does in its own way with one of the samplers. */
export interface SamplerRules {
  /** Where the steps lie if nothing else is asked for. */
  readonly schedule: SamplingSchedule
  /** Whether a step more is planned and the last level before a clean image is left out. */
  readonly discard?: boolean
  /** Whether it stops at the lowest level, without a step to a clean image. */
  readonly open?: boolean
  /** Whether its noise is a Brownian path over the levels. */
  readonly brownian?: boolean
  /** Whether the known part of a picture that is painted in is noised by other numbers than its start. */
  readonly apart?: boolean
  /** How much of the ancestral noise is added back, where that is not the sampler's own default. */
  readonly eta?: number
  /** What it runs by that name, where that is not the table's. */
  readonly loop?: SigmaLoop
}

/** What a way is planned for. */
export interface WayRequest extends ScheduleOptions {
  readonly sampler: SamplerName
  readonly schedule: SamplingSchedule
  readonly steps: number
  readonly alphasCumprod: ArrayLike<number>
  /** Whether the model is Stable Diffusion XL. */
  readonly xl?: boolean
  /** How much of a picture is painted anew, up to 1; undefined starts from noise alone. */
  readonly strength?: number | undefined
}

/** Steps that are taken of a way, and what PLMS does otherwise in the first of them. */
export interface Rest {
  readonly steps: readonly Step[]
  readonly first?: SampleOptions['first']
}

/** How a tool starts from a picture: the last of its steps are taken. */
export interface PictureRules {
  /** Steps that are planned, where those are not as many as asked for. */
  planned?(steps: number, strength: number): number
  /** How many steps are taken where so many are asked for. */
  taken(steps: number, strength: number, sampler: SamplerName): number
  /** What is planned over a picture made larger, for so many steps of its own; as over any picture if left out. */
  larger?(steps: number, strength: number): { readonly steps: number; readonly strength: number }
  /** The steps that are left of a whole way where so many of them are taken, if those are not its last ones. */
  rest?(whole: readonly Step[], taken: number, sampler: SamplerName): Rest | undefined
  /** Whether the picture is noised to one level above that of the first step. */
  above?(sampler: SamplerName): boolean
  /** What its noise is multiplied by where its way begins, if not by the sigma there. */
  noise?(start: Level, alphasCumprod: ArrayLike<number>): number
  /** Whether a Brownian path lies over all levels that were planned, beside those of the steps that are taken. */
  readonly pathOverAll?: true
}

/**
 * How what is known of a picture is kept on the way: `predicted`: by what the network predicts of it alone; `noised`: so,
 * and by what the network sees of it, the picture with noise; `clean`: by what it sees of it, the picture as it is;
 * `before`: by the picture with new noise before each step.
 */
export type Keeping = 'predicted' | 'noised' | 'clean' | 'before'

/** How a tool paints in a part of a picture. */
export interface InpaintingRules {
  keeping(sampler: SamplerName): Keeping
  /** Whether it is put back as it was at the end of the way. */
  readonly restores?: true
  /** How much of each latent is painted, of how much of each pixel is, 0 to 1; all of it where any pixel is, if left out. */
  share?(pixels: Float32Array, from: Size, to: Size): Float32Array
  /** Whether all begins with noise alone where all of the picture's strength is asked for. */
  readonly fromNoise?: true
  /** Whether what is left of the picture is encoded for models that are not told of it too, which uses numbers up. */
  readonly encodesRest?: true
  /** How many latents beyond those are painted too by a model that is told of picture and mask. */
  readonly margin?: number
  /** Whether a model that is told of picture and mask starts from the picture nonetheless, and the known part is kept. */
  readonly told?: true
}

/** Steps, and what unit normals are multiplied by to start, in the coordinates that the network sees. */
export interface Started {
  readonly steps: readonly Step[]
  readonly startScale: number
}

/** How another tool goes from a seed to a picture. */
export interface Profile {
  /** The tool's name for people. */
  readonly label: string
  /** Its repository and the commit that the rules were read at. */
  readonly source: string
  /** What it does if nothing is asked for. */
  readonly defaults: {
    readonly sampler: SamplerName
    readonly steps: number
    readonly guidance: number
    /** How it reads prompts. */
    readonly promptStyle: PromptStyleName
  }
  /** The guidance up to which it asks for the plain answer alone, if it is not 1 exactly. */
  readonly unguidedTo?: number
  /** The generator that it draws from if nothing is asked for. */
  readonly draws: NoiseSource
  readonly samplers: Partial<Readonly<Record<SamplerName, SamplerRules>>>
  /** The schedules that it has otherwise for Stable Diffusion XL. */
  readonly ofXl?: Partial<Readonly<Record<SamplingSchedule, SamplingSchedule>>>
  /** The schedules that it has. */
  readonly schedules: readonly SamplingSchedule[]
  /** Those of them that it has by a formula of its own. */
  readonly formulas?: Partial<Readonly<Record<SamplingSchedule, Levels>>>
  way(request: WayRequest, rules: SamplerRules, levels: Levels): Started
  readonly fromPicture: PictureRules
  readonly inpainting?: InpaintingRules
  /** What it brings back to the deviation of the conditional prediction where guidance is rescaled; the prediction, if left out. */
  readonly rescales?: Parameterization
  /**
   * How it goes on by another model at the end of a way, where it does: on the same way, or anew from what is left unfinished.
   */
  readonly refines?: 'onward' | 'anew'
  /** How its pictures become bytes. */
  readonly rounding: 'truncate' | 'round'
  /** How its samplers differ from the table's. */
  options?(request: WayRequest): Omit<SampleOptions, 'noise' | 'eta'>
  noise(request: NoiseRequest, rules: SamplerRules): BatchNoise
}

/** The way of a tool from noise to a picture. */
export interface ProfileWay extends Started {
  /** Where it begins: the level that a picture is noised to. */
  readonly start: Level
  /** The steps over whose levels a Brownian path lies. */
  readonly path: readonly Step[]
  readonly options: Omit<SampleOptions, 'noise'>
}

/**
 * The way that a tool takes.
 *
 * @throws LatentkitError for samplers and schedules that the tool lacks, RangeError for a number of steps that it has no way for.
 */
export function profileWay(profile: Profile, request: WayRequest): ProfileWay {
  const rules = rulesOf(profile, request.sampler)
  if (!profile.schedules.includes(request.schedule)) {
    throw new LatentkitError(
      `${profile.label} has no schedule "${request.schedule}" that is known here; it has ${profile.schedules.join(', ')}`,
    )
  }
  const schedule = (request.xl && profile.ofXl?.[request.schedule]) || request.schedule
  const levels = profile.formulas?.[schedule] ?? schedules[schedule].levels
  const { first, ...way } = begun(profile, request, profile.way(planned(profile, request), rules, levels))
  const { eta, loop } = rules
  return {
    ...way,
    options: {
      ...profile.options?.(request),
      ...(eta !== undefined && { eta }),
      ...(loop && { loop }),
      ...(first && { first }),
    },
  }
}

function planned({ fromPicture }: Profile, request: WayRequest): WayRequest {
  const { steps, strength } = request
  if (strength === undefined) return request
  return { ...request, steps: fromPicture.planned?.(steps, strength) ?? steps }
}

/** The part of a way that is taken, and where it begins. */
function begun(
  { label, fromPicture }: Profile,
  request: WayRequest,
  whole: Started,
): Omit<ProfileWay, 'options'> & Rest {
  const { sampler, steps: asked, strength } = request
  const taken = strength === undefined ? whole.steps.length : fromPicture.taken(asked, strength, sampler)
  const first = Math.max(whole.steps.length - taken, 0)
  const rest = strength === undefined ? undefined : fromPicture.rest?.(whole.steps, taken, sampler)
  const { steps } = rest ?? { steps: whole.steps.slice(first) }
  const above = strength !== undefined && fromPicture.above?.(sampler)
  const start = above ? whole.steps[first - 1]?.from : steps[0]?.from
  if (start && steps.length > 0) {
    const { sigma, ...level } = start
    const noised = { ...level, sigma: fromPicture.noise?.(start, request.alphasCumprod) ?? sigma }
    return { ...whole, steps, ...rest, start: noised, path: fromPicture.pathOverAll ? whole.steps : steps }
  }
  const from = strength === undefined ? '' : ` from a picture at strength ${strength}`
  throw new RangeError(
    `${label} has no way of ${asked} steps by ${sampler}${from}; choose ${above && steps.length > 0 ? 'a smaller strength' : 'more steps'}`,
  )
}

/** The noise of a tool's way. */
export function profileNoise(
  profile: Profile,
  { path }: ProfileWay,
  { sampler, ...request }: Omit<NoiseRequest, 'sigmaMin' | 'sigmaMax'> & { readonly sampler: SamplerName },
): BatchNoise {
  const sigmas = path
    .flatMap(({ from, to }) => [from, to])
    .map(({ alpha, sigma }) => Math.min(sigma / alpha, sigmaOfNoSignal))
  const ends = { sigmaMin: Math.min(...sigmas.filter(sigma => sigma > 0)), sigmaMax: Math.max(...sigmas) }
  return profile.noise({ ...request, ...ends }, rulesOf(profile, sampler))
}

/** A tool's rules for a sampler; throws LatentkitError where it has none. */
export function rulesOf({ label, samplers }: Profile, sampler: SamplerName): SamplerRules {
  const rules = Object.hasOwn(samplers, sampler) ? samplers[sampler] : undefined
  if (rules) return rules
  throw new LatentkitError(
    `${label} has no sampler "${sampler}" that is known here; it has ${Object.keys(samplers).join(', ')}`,
  )
}
