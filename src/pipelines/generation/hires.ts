import type { SpokenOver } from '../../conditioning/index.js'
import { interpolate, resizeImage } from '../../image/index.js'
import { profiles } from '../../samplers/index.js'
import { factorOf } from '../model-config.js'
import { parametersOf } from '../settings/parameters.js'
import type { Plan } from '../settings/plan.js'
import { unitOf } from '../settings/size.js'
import { callsOf } from './conditions/calls.js'
import type { GenerateEvent } from './events.js'
import { generatePictures } from './generate.js'
import { type GeneratedImage, generatedImage } from './generated-image.js'
import type { Latents } from './latents.js'
import type { Lender, Work } from './stage.js'
import { wayOf } from './way.js'

type Painted = Extract<GenerateEvent, { type: 'image' }>

/**
 * Large pictures in two goes: all of them small, where the network knows how things hold together, then each from its
 * small one made larger. Source: stable-diffusion-webui, modules/processing.py, StableDiffusionProcessingTxt2Img.
 */
export async function* generateLarger(work: Work, lender: Lender): AsyncGenerator<GenerateEvent, void> {
  const { plan, model } = work
  const unit = unitOf(model.config)
  const larger = (side: number) => Math.max(unit, Math.round((side * plan.hires!) / unit) * unit)
  const size = { width: larger(plan.width), height: larger(plan.height) }
  const small = { ...plan, hires: undefined }
  const large: Plan = {
    ...small,
    ...size,
    ...secondGo(plan),
    request: { ...plan.request, callsBefore: callsOf(small) } satisfies Partial<SpokenOver>,
  }
  const batches = Math.ceil(plan.seeds.length / plan.batch)
  const first = batches * wayOf({ ...work, plan: small }).steps
  const total = first + batches * wayOf({ ...work, plan: large }).steps

  const painted: Painted[] = []
  // A1111's refiner is of the second pass unless told otherwise (modules/shared_options.py, hires_fix_refiner_pass).
  const refinement = plan.profile === 'a1111' ? undefined : work.refinement
  for await (const event of generatePictures({ ...work, plan: small, refinement }, lender)) {
    if (event.type === 'image') painted.push(event)
    else yield { ...event, total }
  }
  const factor = factorOf(model.config)
  const starts: Pick<NonNullable<Plan['init']>, 'pictures' | 'latents'> = plan.hiresBy === 'pixels'
    ? { pictures: painted.map(({ image }) => resizeImage(image, size.width, size.height, { filter: 'lanczos' })) }
    : { latents: painted.map(({ latents }) => enlarged(latents, size.width / factor, size.height / factor)) }
  const plans = { ...large, init: { ...large.init!, ...starts } }
  for await (const event of generatePictures({ ...work, plan: plans }, lender)) {
    if (event.type === 'step') yield { ...event, step: first + event.step, total }
    else if (event.type === 'image') {
      const settings = parametersOf(plan, event.index, { model: lender.name, added: work.model.added })
      yield { ...event, settings, image: withParameters(event.image, settings) }
    }
  }
}

/** Steps and strength of the second go. */
function secondGo({ profile, steps, hiresSteps, hiresStrength }: Plan): Pick<Plan, 'steps' | 'init'> {
  const [asked, strength] = [hiresSteps ?? steps, hiresStrength!]
  const planned = profile && profiles[profile].fromPicture.larger?.(asked, strength)
  return planned ? { steps: planned.steps, init: { strength: planned.strength } } : { steps: asked, init: { strength } }
}

const withParameters = ({ data, width, height, channels }: GeneratedImage, parameters: GeneratedImage['parameters']) =>
  generatedImage({ data, width, height, channels }, parameters)

/** Bilinear, as A1111's "Latent". */
function enlarged({ data, shape: [channels, height, width] }: Latents, toWidth: number, toHeight: number): Latents {
  const to = { width: toWidth, height: toHeight }
  return { data: interpolate(data, { width, height }, to, { mode: 'bilinear' }), shape: [channels, toHeight, toWidth] }
}
