import { fileInfo } from '#platform'
import {
  cropAndFlip,
  type Dataset,
  openFolder,
  type Picture,
  readPicture,
  resizeShorterSide,
  splitDataset,
  type Transform,
} from '../data/index.js'
import { type Image, resizeImage } from '../image/index.js'
import type { GenerateOptions } from '../pipelines/generation/events.js'
import { type LoadOptions, load } from '../pipelines/loading/load.js'
import { openModelFile } from '../pipelines/loading/model-file.js'
import type { Model } from '../pipelines/model.js'
import { modelConfig } from '../pipelines/model-config.js'
import { LatentkitError } from '../platform/errors.js'
import type { Device, Executable } from '../runtime/index.js'
import { validate } from '../schema/index.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import { isDiffusersFolder } from '../weights/diffusers/index.js'
import { throughFirstStage } from './reconstruct.js'

/** A picture to be judged, with what it should be like where there is such. */
export interface Judged {
  readonly picture: Image
  readonly original?: Image | undefined
  readonly caption?: string | undefined
}

/** Where pictures to be judged come from. */
export interface Subject extends AsyncDisposable {
  readonly kind: 'pictures' | 'model' | 'first stage'
  /** Side to which reference pictures are brought, where the subject has one. */
  readonly size?: number | undefined
  judged(reference: Reference | undefined): AsyncGenerator<Judged>
}

/** Pictures that others are held against. */
export interface Reference {
  readonly dataset: Dataset
  readonly indices: readonly number[]
  picture(index: number): Promise<Image>
}

export type Share = 'all' | 'held-out' | 'train'

/** The pictures of a folder, or a share of them, each brought to a size (shorter side, middle) where one is given. */
export async function openReference(
  folder: string,
  { share, samples, size }: { share: Share; samples?: number | undefined; size?: number | undefined },
): Promise<Reference> {
  const dataset = await openFolder(folder)
  const { train, heldOut } = splitDataset(dataset)
  const all = share === 'all' ? dataset.pictures.map((_, i) => i) : share === 'train' ? train : heldOut
  if (all.length === 0)
    throw new LatentkitError(`evaluate: ${folder} has no pictures that are ${share}; use --share all`)
  const count = Math.min(samples ?? all.length, all.length)
  // Spread over the folder, whose order may be by kind.
  const indices = Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]!)
  const transform: Transform | undefined =
    size === undefined ? undefined : { size, crop: 'centre', flip: false, filter: 'bicubic' }
  return {
    dataset,
    indices,
    async picture(index) {
      const picture = await readPicture(folder, dataset.pictures[index]!)
      return transform
        ? cropAndFlip(resizeShorterSide(picture, transform), transform, { x: 0.5, y: 0.5, flip: 1 })
        : picture
    },
  }
}

export interface SubjectOptions {
  readonly device: Device
  /** Where a model generates, which has a device of its own. */
  readonly load: LoadOptions
  readonly firstStage: boolean
  readonly samples?: number | undefined
  readonly size?: number | undefined
  readonly settings: Readonly<Record<string, unknown>>
  readonly signal: AbortSignal
}

/** Opens what is to be judged: a folder of pictures or a checkpoint. */
export async function openSubject(path: string, options: SubjectOptions): Promise<Subject> {
  if ((await fileInfo(path))?.kind === 'folder' && !(await isDiffusersFolder(path))) return folderSubject(path, options)
  const checkpoint = await openModelFile(path)
  const config = validate(modelConfig, checkpoint.info.config, `${path}: config`)
  if (options.firstStage || config.unet_config === undefined) return firstStageSubject(checkpoint, options)
  await checkpoint.close()
  return modelSubject(await load(path, options.load), options)
}

async function folderSubject(folder: string, { size, samples }: SubjectOptions): Promise<Subject> {
  const own = await openReference(folder, { share: 'all', size, samples })
  return {
    kind: 'pictures',
    size,
    async *judged(reference) {
      const partners = new Map(reference?.indices.map(i => [stem(reference.dataset.pictures[i]!), i]))
      for (const index of own.indices) {
        const { captions } = own.dataset.pictures[index]!
        const partner = partners.get(stem(own.dataset.pictures[index]!))
        const original = partner === undefined ? undefined : await reference!.picture(partner)
        yield { picture: await own.picture(index), original, caption: captions[0] }
      }
    },
    async [Symbol.asyncDispose]() {},
  }
}

const stem = ({ file }: Picture) => file.replace(/\.[^./]*$/, '')

function firstStageSubject(checkpoint: Checkpoint, { device, size }: SubjectOptions): Subject {
  const compiled = new Map<string, Executable>()
  return {
    kind: 'first stage',
    size,
    async *judged(reference) {
      for (const index of wantedReference(reference, 'a first stage').indices) {
        const { file } = reference!.dataset.pictures[index]!
        const { before, after } = await throughFirstStage(
          device,
          checkpoint,
          await reference!.picture(index),
          file,
          compiled,
        )
        yield { picture: after, original: before }
      }
    },
    [Symbol.asyncDispose]: () => checkpoint.close(),
  }
}

function modelSubject(model: Model, { samples, settings, signal }: SubjectOptions): Subject {
  return {
    kind: 'model',
    size: model.size,
    async *judged(reference) {
      const { indices, dataset } = wantedReference(reference, 'a model')
      for (let i = 0; i < (samples ?? indices.length); i++) {
        const index = indices[i % indices.length]!
        const record = dataset.pictures[index]!
        const { prompt, ...conditions } = await conditionsOf(
          model,
          record,
          () => reference!.picture(index),
          dataset.folder,
        )
        const seed = (Number(settings.seed ?? 0) + i) % 2 ** 32
        const picture = await model.generate(prompt, { ...settings, ...conditions, seed, signal }).image()
        yield {
          picture,
          caption: prompt === '' ? undefined : prompt,
          original: conditions.image ? await reference!.picture(index) : undefined,
        }
      }
    },
    [Symbol.asyncDispose]: () => model.dispose(),
  }
}

function wantedReference(reference: Reference | undefined, subject: string): Reference {
  if (reference) return reference
  throw new LatentkitError(
    `evaluate: ${subject} needs a folder of pictures to be held against, whose captions and classes it is asked for`,
  )
}

/** What a record says, in the words in which the model is asked for such a picture. */
async function conditionsOf(
  { config: { conditioning = {} } }: Model,
  { captions, label, boxes, map }: Picture,
  picture: () => Promise<Image>,
  folder: string,
): Promise<{ prompt: string } & Pick<GenerateOptions, 'image' | 'class' | 'boxes' | 'map'>> {
  if (conditioning.mask) {
    throw new LatentkitError(
      'evaluate: this model paints into pictures, which needs masks; paint with generate and name the folder',
    )
  }
  const factor = conditioning.low_resolution?.factor
  return {
    prompt: conditioning.text ? (captions[0] ?? '') : '',
    ...(conditioning.class && label !== undefined && { class: label }),
    ...(conditioning.layout && {
      boxes: (boxes ?? []).map(({ label, box }) => ({ label, box: [...box] as [number, number, number, number] })),
    }),
    ...(conditioning.map && map !== undefined && { map: await readPicture(folder, { file: map }) }),
    ...(factor && { image: await shrunk(picture, factor) }),
    ...(conditioning.neighbours && { image: await picture() }),
  }
}

async function shrunk(picture: () => Promise<Image>, factor: number): Promise<Image> {
  const whole = await picture()
  return resizeImage(whole, Math.floor(whole.width / factor), Math.floor(whole.height / factor))
}
