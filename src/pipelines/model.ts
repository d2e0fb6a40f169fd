import { baseName } from '#platform'
import { type Asked, inputsOf, stack } from '../conditioning/index.js'
import { samplingPlan } from '../diffusion/index.js'
import { guide } from '../guidance/classifier-free.js'
import { type Image, type Parameters, pixelsToImage } from '../image/index.js'
import { LatentkitError } from '../platform/errors.js'
import { torchGenerator } from '../random/index.js'
import { type Device, type Executable, type HostTensors, hostTensor } from '../runtime/index.js'
import { type Network, sample, samplingNetwork } from '../samplers/index.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import type { CheckpointModel } from './checkpoint-model.js'
import { type GeneratedImage, generatedImage } from './generated-image.js'
import { openGuides } from './guides.js'
import type { ModelConfig } from './model-config.js'
import { parametersOf } from './parameters.js'
import { conditionProgram, decodingProgram, denoisingProgram, latentShape, placeOf } from './programs.js'
import { Recent } from './recent.js'
import { withNeighbours } from './retrieval.js'
import { type GenerateSettings, type Plan, planGeneration, trainedSize } from './settings.js'

/** What a generation tells while it works. */
export type GenerateEvent =
  | {
      readonly type: 'start'
      /** Steps of all pictures together. */
      readonly total: number
      readonly seeds: readonly number[]
      /** Tokens of the prompt that did not fit into the text encoder and are left out. */
      readonly tokensLeftOut: number
    }
  | {
      readonly type: 'step'
      readonly step: number
      readonly total: number
      /** What the pictures of this batch will be, as far as it is known, if previews were asked for. */
      readonly previews?: readonly Image[]
    }
  | {
      readonly type: 'image'
      readonly image: GeneratedImage
      /** Which of the pictures, from 0 on. */
      readonly index: number
      readonly seed: number
      readonly settings: Parameters
    }

/** Settings of a generation and what may end it early. */
export interface GenerateOptions extends GenerateSettings {
  /** Ends the generation between two steps, with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** A generation: iterate over its events, or await its picture. */
export interface Generation extends AsyncGenerator<GenerateEvent, void> {
  /** Runs to the first picture. */
  image(): Promise<GeneratedImage>
}

/** Sets the chance of conditions, such as which picture is retrieved, apart from that of the picture's noise. */
const conditionSeed = 0x9e3779b9

interface SizedNetworks {
  readonly embed: Executable | undefined
  readonly denoise: Executable
  readonly decode: Executable
}

/** A model that makes pictures, on a device: what `load` gives. Dispose of it when done. */
export class Model implements AsyncDisposable {
  /** The file's name without its ending. */
  readonly name: string
  /** The configuration of all its networks. */
  readonly config: ModelConfig
  readonly #model: CheckpointModel
  readonly #device: Device
  readonly #sized = new Recent<SizedNetworks>(async ({ embed, denoise, decode }) => {
    await embed?.dispose()
    await denoise.dispose()
    await decode.dispose()
  })

  /** Takes over the checkpoint and the device. */
  constructor(model: CheckpointModel, device: Device) {
    this.#model = model
    this.#device = device
    this.config = model.config
    this.name = baseName(model.checkpoint.name).replace(/\.safetensors$/, '')
  }

  /** How the model was trained, in the words of its recipe, and the fingerprint of its data, where it says so. */
  get origin(): Pick<Checkpoint['info'], 'library' | 'recipe' | 'data'> {
    const { library, recipe, data } = this.#model.checkpoint.info
    return { library, recipe, data }
  }

  /** Side in pixels of the pictures that the model was trained on. */
  get size(): number {
    return trainedSize(this.config)
  }

  /**
   * Makes pictures of a prompt ('' where the model takes no text) and of whatever else it is conditioned on, which the
   * options name: `class`, `boxes`, `map`, `image`, `mask`, `neighbours`. Nothing happens before the result is iterated over.
   * A picture depends on its own seed alone, not on the others of its batch, to rounding.
   *
   * @throws SchemaError for settings that are unknown or out of range, LatentkitError for those the model cannot follow.
   * @example
   * for await (const event of model.generate('red heart', { seed: 7, count: 4 }))
   *   if (event.type === 'image') await event.image.save(`heart-${event.index}.png`)
   */
  generate(prompt = '', options: GenerateOptions = {}): Generation {
    const { signal, ...settings } = options
    const events = this.#generate(planGeneration(this.#model, prompt, settings), signal)
    async function image(): Promise<GeneratedImage> {
      for await (const event of events) if (event.type === 'image') return event.image
      throw new LatentkitError('The generation has no picture left: it was iterated over before')
    }
    return Object.assign(events, { image })
  }

  async *#generate(plan: Plan, signal: AbortSignal | undefined): AsyncGenerator<GenerateEvent, void> {
    const { steps, schedule, sampler, seeds, batch, eta, previewEvery } = plan
    const { alphasCumprod, config, conditions, checkpoint } = this.#model
    const { parameterization, timesteps } = config.diffusion!
    const path = samplingPlan(alphasCumprod, { steps, schedule })
    const batches = chunks(seeds, batch)
    const total = batches.length * path.length
    signal?.throwIfAborted()
    const request = await withNeighbours(plan.request, config.conditioning, {
      device: this.#device,
      checkpoint,
      signal,
    })
    const place = placeOf(config, plan)
    const ask = (seed: number) => conditions.ofRequest(request, place, torchGenerator((seed ^ conditionSeed) >>> 0))
    const { leftOut = 0 } = ask(seeds[0]!)
    await using networks = await this.#networks(plan)
    await using guides = await openGuides(this.#model, plan, this.#device)
    yield { type: 'start', total, seeds, tokensLeftOut: leftOut }
    const shape = latentShape(config, plan)
    const length = shape[0] * shape[1] * shape[2]

    for (const [i, group] of batches.entries()) {
      const generators = group.map(torchGenerator)
      const noise = () => joined(generators.map(generator => generator.randn(length)))
      const asked = group.map(ask)
      const conditioned = await this.#embed(networks.value.embed, plan, asked, signal)
      const raw = guided(networks.value.denoise, { shape, conditioned, guidance: plan.guidance, signal })
      const decode = async (x: Float32Array): Promise<Image[]> => {
        const { images } = await networks.value.decode({ z: hostTensor(x, [group.length, ...shape]) }, { signal })
        return group.map((_, index) => {
          const picture = pixelsToImage(images!.data as Float32Array, plan.width, plan.height, { index })
          return asked[index]!.finish?.(picture) ?? picture
        })
      }
      let x = noise()
      let step = i * path.length
      const plain = samplingNetwork(raw, parameterization, timesteps)
      const network = guides
        ? await guides.lead(plain.network, plain.parameterization, group.length, conditioned)
        : plain.network
      const model = { ...plain, network, alphasCumprod }
      for await (const { x: next, x0 } of sample(sampler, model, x, path, { noise, eta })) {
        signal?.throwIfAborted()
        x = next
        step++
        checkNumbers(x, step)
        const shown = previewEvery !== undefined && step % previewEvery === 0 && step < total
        yield { type: 'step', step, total, ...(shown && { previews: await decode(x0) }) }
      }
      for (const [j, picture] of (await decode(x)).entries()) {
        const seed = group[j]!
        const settings = parametersOf(plan, seed, this.name)
        yield { type: 'image', image: generatedImage(picture, settings), index: i * batch + j, seed, settings }
      }
    }
  }

  /** What the conditions of some pictures become and, with guidance, after them what their absence becomes. */
  async #embed(
    embed: Executable | undefined,
    plan: Plan,
    asked: readonly Asked[],
    signal: AbortSignal | undefined,
  ): Promise<HostTensors> {
    if (embed === undefined) return {}
    const negative = plan.guidance === 1 ? [] : asked.map(({ negative, positive }) => negative ?? positive)
    const samples = [...asked.map(({ positive }) => positive), ...negative]
    return embed(stack(inputsOf(this.config.conditioning, placeOf(this.config, plan)), samples), { signal })
  }

  #networks(size: Pick<Plan, 'width' | 'height'>) {
    const { config } = this.#model
    const { width, height } = size
    return this.#sized.lease(`${width}x${height}`, async () => {
      const conditions = conditionProgram(config, size)
      // All are handed to the device at once: it loads one while the other is being prepared here.
      const [embed, denoise, decode] = await Promise.all([
        conditions && this.#compile(conditions),
        this.#compile(denoisingProgram(config, size)),
        this.#compile(decodingProgram(config, size)),
      ])
      return { embed, denoise, decode }
    })
  }

  #compile(program: Executable['program']): Promise<Executable> {
    return this.#device.compile(this.#model.adapt(program), { weights: this.#model.weights })
  }

  /** Frees everything that the model holds; generations that run are ended with an error. */
  async dispose(): Promise<void> {
    await this.#device.dispose()
    await this.#model.checkpoint.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }
}

interface GuidedOptions {
  readonly shape: readonly [number, number, number]
  /** Of all pictures and, with guidance, after them of all without conditions. */
  readonly conditioned: HostTensors
  readonly guidance: number
  readonly signal: AbortSignal | undefined
}

/** The network with its guidance: pictures with their conditions and, where both are needed, without them, in one batch. */
function guided(denoise: Executable, { shape, conditioned, guidance, signal }: GuidedOptions): Network {
  const [channels, height, width] = shape
  const both = guidance !== 1
  return async (x, t) => {
    const count = x.length / (channels * height * width)
    const asked = both ? 2 * count : count
    const { prediction } = await denoise(
      {
        x: hostTensor(both ? joined([x, x]) : x, [asked, ...shape]),
        t: hostTensor(new Float32Array(asked).fill(t)),
        ...conditioned,
      },
      { signal },
    )
    const raw = prediction!.data as Float32Array
    return both ? guide(raw.subarray(0, x.length), raw.subarray(x.length), guidance) : raw
  }
}

function checkNumbers(x: Float32Array, step: number): void {
  if (x.every(Number.isFinite)) return
  throw new LatentkitError(
    `generate: after step ${step} the picture holds numbers that are none; the weights are damaged or a setting is far out of the model's range`,
  )
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const out: T[][] = []
  for (let i = 0; i < items.length; i += size) out.push(items.slice(i, i + size))
  return out
}
