import { type Force, steer } from '../../../guidance/index.js'
import { flatten, type Image, imageToPixels, resizeImage } from '../../../image/index.js'
import { openSqueezenet } from '../../../perceptual/weights.js'
import { LatentkitError } from '../../../platform/errors.js'
import { type Executable, hostIntegers, hostTensor, type Weights } from '../../../runtime/index.js'
import { closingOnError } from '../../../weights/tensor-file.js'
import type { ReadableWeights } from '../../loading/checkpoint-model.js'
import { classNumber, openClassifier } from '../../loading/classifier-model.js'
import { conditionedInputs } from '../../programs.js'
import { gathered } from '../network/rows.js'
import type { Stage } from '../stage.js'
import type { Answer, OpenGuidance } from './contract.js'
import { classGuideProgram, pictureGuideProgram } from './guiding-programs.js'

/** The gradient of one guide at an answer. */
type Pull = (answer: Answer) => Promise<Force>

interface Guide {
  readonly pull: Pull
  close(): Promise<void>
}

/**
 * Leads by a picture, a classifier, or both.
 *
 * @throws LatentkitError and FileError where one does not fit the model.
 */
export const guides: OpenGuidance = async stage => {
  const opened = [await pictureGuide(stage), await classGuide(stage)].flatMap(guide => guide ?? [])
  if (opened.length === 0) return undefined
  return {
    async lead(answer) {
      const { led, level, parameterization, shape } = answer
      const forces: Force[] = []
      for (const { pull } of opened) forces.push(await pull(answer))
      return steer(led, level, parameterization, forces, { images: shape[0] })
    },
    async close() {
      for (const { close } of opened) await close()
    },
  }
}

/** A program for each number of pictures, compiled when it is first asked for. */
function perBatch(compile: (images: number) => Promise<Executable>) {
  const compiled = new Map<number, Executable>()
  return {
    async of(images: number): Promise<Executable> {
      const run = compiled.get(images) ?? (await compile(images))
      compiled.set(images, run)
      return run
    },
    async dispose() {
      for (const run of compiled.values()) await run.dispose()
    },
  }
}

async function pictureGuide({ model, plan, device, parts }: Stage): Promise<Guide | undefined> {
  const { guide, guideBy: by, guideSize, guideWeight = defaultWeights[by] } = plan
  if (guide === undefined) return undefined
  const size = { width: plan.width, height: plan.height }
  const target = targetOf(guide, guideSize, size)
  const wanted = hostTensor(imageToPixels(target), [1, 3, target.height, target.width])
  const squeezenet = by === 'perceptual' ? await openSqueezenet() : undefined
  const weights = squeezenet ? withPrefixed(model.weights, 'perceptual.', squeezenet) : model.weights
  const conditions = conditionedInputs(model.config, parts.variant)
  const networks = perBatch(batch =>
    device.compile(
      model.adapt(pictureGuideProgram(model.config, size, { batch, target, by, conditions, seamless: plan.seamless })),
      {
        weights,
      },
    ),
  )
  return {
    async pull({ x, t, level: { alpha, sigma }, shape, told }) {
      const [images] = shape
      const run = await networks.of(images)
      // The first rows of what is told are those with conditions, which those without follow.
      const first = Array.from({ length: images }, (_, i) => i)
      const given = Object.fromEntries(
        Object.entries(told.inputs).map(([name, tensor]) => [name, gathered([tensor], first)]),
      )
      const scalars = (value: number) => hostTensor(new Float32Array(images).fill(value), [images, 1, 1, 1])
      const { gradient } = await run({
        x: hostTensor(x, shape),
        t: hostTensor(new Float32Array(images).fill(t)),
        alpha: scalars(alpha),
        sigma: scalars(sigma),
        target: wanted,
        ...given,
      })
      return { gradient: gradient!.data as Float32Array, weight: guideWeight }
    },
    async close() {
      await networks.dispose()
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

async function classGuide({ model, plan, device, latents }: Stage): Promise<Guide | undefined> {
  const { classifier: file, classifierWeight: weight } = plan
  if (file === undefined) return undefined
  const classifier = await openClassifier(file, model.config)
  return closingOnError(classifier.checkpoint, async () => {
    const { image_size } = classifier.config.classifier_config.encoder
    if (latents[1] !== image_size || latents[2] !== image_size) {
      throw new LatentkitError(
        `generate: the classifier was trained on latents of ${image_size}x${image_size}, these are of ${latents[2]}x${latents[1]}; leave width and height out`,
      )
    }
    const label = classNumber(classifier, plan.classifierClass)
    const networks = perBatch(batch =>
      device.compile(classGuideProgram(classifier.config.classifier_config, latents, batch), {
        weights: classifier.checkpoint.weights,
      }),
    )
    return {
      async pull({ x, t, shape }) {
        const [images] = shape
        const run = await networks.of(images)
        const labels = hostIntegers(new Array<number>(images).fill(label), [images])
        const time = hostTensor(new Float32Array(images).fill(t))
        const { gradient } = await run({ x: hostTensor(x, shape), t: time, labels })
        return { gradient: gradient!.data as Float32Array, weight }
      },
      async close() {
        await networks.dispose()
        await classifier.checkpoint.close()
      },
    }
  })
}

/** Weights with those of another file under a prefix. */
function withPrefixed(own: ReadableWeights, prefix: string, other: ReadableWeights): Weights {
  const tensors = new Map(own.tensors)
  for (const [name, info] of other.tensors) tensors.set(prefix + name, info)
  const read: ReadableWeights['read'] = name =>
    name.startsWith(prefix) ? other.read(name.slice(prefix.length)) : own.read(name)
  return { tensors, read }
}
