import { discreteSigmas, type Level, type Parameterization } from '../diffusion/index.js'
import { type Force, steer } from '../guidance/index.js'
import { flatten, type Image, imageToPixels, resizeImage } from '../image/index.js'
import { openSqueezenet } from '../perceptual/weights.js'
import { LatentkitError } from '../platform/errors.js'
import {
  type Device,
  type Executable,
  type HostTensors,
  hostIntegers,
  hostTensor,
  type Weights,
} from '../runtime/index.js'
import { levelOfSigma, type Network } from '../samplers/index.js'
import type { CheckpointModel, ReadableWeights } from './checkpoint-model.js'
import { classNumber, openClassifier } from './classifier-model.js'
import { classGuideProgram, pictureGuideProgram } from './guiding-programs.js'
import { latentShape } from './programs.js'
import type { Plan } from './settings.js'

/** What leads a generation besides its conditions, ready for batches of any number. */
export interface Guides extends AsyncDisposable {
  /** The network with its predictions led; `conditioned` are the conditions of the batch's pictures. */
  lead(network: Network, parameterization: Parameterization, images: number, conditioned: HostTensors): Promise<Network>
}

/** The gradient of one guide at a level. */
type Pull = (x: Float32Array, t: number, level: Level) => Promise<Force>

/**
 * Opens the guides that a plan asks for: a picture, a classifier, both or none (undefined). Dispose of them when done.
 *
 * @throws LatentkitError and FileError where one does not fit the model.
 */
export async function openGuides(model: CheckpointModel, plan: Plan, device: Device): Promise<Guides | undefined> {
  const opened = [await pictureGuide(model, plan, device), await classGuide(model, plan, device)].flatMap(
    guide => guide ?? [],
  )
  if (opened.length === 0) return undefined
  const levelAt = levels(model.alphasCumprod)
  return {
    async lead(network, parameterization, images, conditioned) {
      const pulls = await Promise.all(opened.map(({ pull }) => pull(images, conditioned)))
      return async (x, t) => {
        const level = levelAt(t)
        const raw = await network(x, t)
        const forces: Force[] = []
        for (const pull of pulls) forces.push(await pull(x, t, level))
        return steer(raw, level, parameterization, forces, { images })
      }
    },
    async [Symbol.asyncDispose]() {
      for (const { close } of opened) await close()
    },
  }
}

interface Guide {
  pull(images: number, conditioned: HostTensors): Promise<Pull>
  close(): Promise<void>
}

/** Levels of whole and fractional timesteps; where the schedule ends without signal, as it does. */
function levels(alphasCumprod: Float64Array): (t: number) => Level {
  const { tToSigma } = discreteSigmas(alphasCumprod)
  return t => {
    const bar = alphasCumprod[t]
    return bar === undefined ? levelOfSigma(tToSigma(t)) : { alpha: Math.sqrt(bar), sigma: Math.sqrt(1 - bar) }
  }
}

async function pictureGuide(model: CheckpointModel, plan: Plan, device: Device): Promise<Guide | undefined> {
  const { guide, guideBy: by, guideSize, guideWeight = defaultWeights[by] } = plan
  if (guide === undefined) return undefined
  const size = { width: plan.width, height: plan.height }
  const target = targetOf(guide, guideSize, size)
  const wanted = hostTensor(imageToPixels(target), [1, 3, target.height, target.width])
  const squeezenet = by === 'perceptual' ? await openSqueezenet() : undefined
  const weights = squeezenet ? withPrefixed(model.weights, 'perceptual.', squeezenet) : model.weights
  const compiled = new Map<number, Executable>()
  const shape = latentShape(model.config, size)
  return {
    async pull(images, conditioned) {
      const program = model.adapt(pictureGuideProgram(model.config, size, { batch: images, target, by }))
      const run = compiled.get(images) ?? (await device.compile(program, { weights }))
      compiled.set(images, run)
      const given = Object.fromEntries(
        Object.entries(conditioned).map(([name, tensor]) => [name, firstOf(tensor, images)]),
      )
      const scalars = (value: number) => hostTensor(new Float32Array(images).fill(value), [images, 1, 1, 1])
      return async (x, t, { alpha, sigma }) => {
        const { gradient } = await run({
          x: hostTensor(x, [images, ...shape]),
          t: hostTensor(new Float32Array(images).fill(t)),
          alpha: scalars(alpha),
          sigma: scalars(sigma),
          target: wanted,
          ...given,
        })
        return { gradient: gradient!.data as Float32Array, weight: guideWeight }
      }
    },
    async close() {
      for (const run of compiled.values()) await run.dispose()
      await squeezenet?.close()
    },
  }
}

/** The weights by which both kinds of distance lead about as far. */
const defaultWeights = { l2: 1, perceptual: 100 } as const

/** The guiding picture as it is compared: no larger than what is painted, of its shape, or of the side that is asked for. */
function targetOf(guide: Image, side: number | undefined, size: { width: number; height: number }): Image {
  const picture = flatten(guide)
  const longer = Math.max(size.width, size.height)
  const wanted = Math.min(side ?? Math.max(picture.width, picture.height), longer)
  const [width, height] = [size.width, size.height].map(s => Math.max(1, Math.round((s * wanted) / longer))) as [
    number,
    number,
  ]
  return picture.width === width && picture.height === height ? picture : resizeImage(picture, width, height)
}

async function classGuide(model: CheckpointModel, plan: Plan, device: Device): Promise<Guide | undefined> {
  const { classifier: file, classifierWeight: weight } = plan
  if (file === undefined) return undefined
  const shape = latentShape(model.config, plan)
  const classifier = await openClassifier(file, model.config)
  const { image_size } = classifier.config.classifier_config.encoder
  if (shape[1] !== image_size || shape[2] !== image_size) {
    await classifier.checkpoint.close()
    throw new LatentkitError(
      `generate: the classifier was trained on latents of ${image_size}x${image_size}, these are of ${shape[2]}x${shape[1]}; leave width and height out`,
    )
  }
  const label = classNumber(classifier, plan.classifierClass)
  const compiled = new Map<number, Executable>()
  return {
    async pull(images) {
      const run =
        compiled.get(images) ??
        (await device.compile(classGuideProgram(classifier.config.classifier_config, shape, images), {
          weights: classifier.checkpoint.weights,
        }))
      compiled.set(images, run)
      const labels = hostIntegers(new Array<number>(images).fill(label), [images])
      return async (x, t) => {
        const time = hostTensor(new Float32Array(images).fill(t))
        const { gradient } = await run({ x: hostTensor(x, [images, ...shape]), t: time, labels })
        return { gradient: gradient!.data as Float32Array, weight }
      }
    },
    async close() {
      for (const run of compiled.values()) await run.dispose()
      await classifier.checkpoint.close()
    },
  }
}

/** The first rows of a batch: those with conditions, which those without follow. */
function firstOf(tensor: HostTensors[string], count: number): HostTensors[string] {
  const { shape, data } = tensor
  const rows = shape[0]!
  if (rows === count) return tensor
  return {
    ...tensor,
    shape: [count, ...shape.slice(1)],
    data: data.slice(0, (data.length / rows) * count),
  } as HostTensors[string]
}

/** Weights with those of another file under a prefix. */
function withPrefixed(own: ReadableWeights, prefix: string, other: ReadableWeights): Weights {
  const tensors = new Map(own.tensors)
  for (const [name, info] of other.tensors) tensors.set(prefix + name, info)
  const read: ReadableWeights['read'] = name =>
    name.startsWith(prefix) ? other.read(name.slice(prefix.length)) : own.read(name)
  return { tensors, read }
}
