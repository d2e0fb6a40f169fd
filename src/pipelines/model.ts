import { baseName } from '#platform'
import { flatten, type Image, type Size } from '../image/index.js'
import { LatentkitError } from '../platform/errors.js'
import type { Device, Executable, WeightPrecision } from '../runtime/index.js'
import type { Program } from '../tensor/program.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import { decode } from './generation/decode.js'
import { encode } from './generation/encode.js'
import { type GenerateOptions, type Generation, generationOf } from './generation/events.js'
import { generatePictures } from './generation/generate.js'
import { generateLarger } from './generation/hires.js'
import { inTurn } from './generation/in-turn.js'
import { checkLatents, type Latents } from './generation/latents.js'
import { type Parts, partsOf, type Variant } from './generation/parts.js'
import { type Lease, Recent } from './generation/recent.js'
import type { Lender, Refinement } from './generation/stage.js'
import { seeingVariantOf } from './generation/windows/variant.js'
import type { CheckpointModel } from './loading/checkpoint-model.js'
import { factorOf, type ModelConfig, trainedSize } from './model-config.js'
import { latentShape } from './programs.js'
import type { GenerateSettings } from './settings/index.js'
import { type Plan, planGeneration } from './settings/plan.js'
import { checkSide, checkSides } from './settings/size.js'

/** How much memory a model may take. */
export interface MemoryOptions {
  /**
   * In how many bits the weights are held: float32 by default. Fewer take less memory and are there sooner, every step
   * takes somewhat longer: `f16` keeps what is stored in float16 as exact as it is; `int8` and `int4` round weights in
   * blocks of 32 but for a network's smallest, a quarter of its numbers, which have 16 bits; in 4 bits are only the largest
   * matrices, the rest in 8. What a GGUF file has in blocks stays in these; `file` leaves all else as it is as well.
   */
  readonly weights?: WeightPrecision | undefined
  /** `small` loads each network when it is used and frees it when the next one is; all stay by default. */
  readonly memory?: 'small' | undefined
}

/** How pictures become latents and back. */
export interface FirstStageOptions {
  /** Side in pixels of the tiles in which it is done; all at once by default. */
  readonly tile?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** A model that makes pictures, on a device: what `load` gives. Dispose of it when done. */
export class Model implements AsyncDisposable {
  /** The file's name without its ending. */
  readonly name: string
  /** The configuration of all its networks. */
  readonly config: ModelConfig
  readonly #model: CheckpointModel
  readonly #device: Device
  readonly #compile: (program: Program, steady?: readonly string[]) => Promise<Executable>
  readonly #parts = new Recent<Parts>(parts => parts.dispose())

  /** Takes over the checkpoint and the device. */
  constructor(model: CheckpointModel, device: Device, { weights: precision, memory }: MemoryOptions = {}) {
    this.#model = model
    this.#device = device
    this.config = model.config
    const compile = (program: Program, steady?: readonly string[]) =>
      device.compile(model.adapt(program), { weights: model.weights, precision, steady })
    this.#compile = memory === 'small' ? inTurn(compile) : compile
    this.name = baseName(model.checkpoint.name).replace(/\.(safetensors|ckpt|gguf|pt|pth|bin)$/i, '')
  }

  /** How the model was trained, in the words of its recipe, and the fingerprint of its data, where it says so. */
  get origin(): Pick<Checkpoint['info'], 'library' | 'recipe' | 'data'> {
    const { library, recipe, data } = this.#model.checkpoint.info
    return { library, recipe, data }
  }

  /** The family that a checkpoint of another tool was recognised as, such as `sd1`; undefined for latentkit's own. */
  get family(): string | undefined {
    return this.#model.checkpoint.origin?.family?.name
  }

  /** Tensors of the file that no network has a place for, and that are not known to be of no use: they are not used. */
  get unplaced(): readonly string[] {
    return this.#model.unplaced
  }

  /** Side in pixels of the pictures that the model was trained on. */
  get size(): number {
    return trainedSize(this.config)
  }

  /**
   * Makes pictures of a prompt ('' where the model takes no text) and of whatever else it is conditioned on, which the
   * options name: `class`, `boxes`, `map`, `depth`, `image`, `mask`, `neighbours`. Any other model starts from the `image`,
   * as far as `strength` says, and paints in it where the `mask` is white. Nothing happens before the result is iterated over.
   * A picture depends on its own seed alone, not on the others of its batch, to rounding.
   *
   * @throws SchemaError for settings that are unknown or out of range, LatentkitError for those the model cannot follow.
   * @example
   * for await (const event of model.generate('red heart', { seed: 7, count: 4 }))
   *   if (event.type === 'image') await event.image.save(`heart-${event.index}.png`)
   */
  generate(prompt = '', options: GenerateOptions = {}): Generation {
    const { signal, ...settings } = options
    const plan = planGeneration(this.#model, prompt, settings)
    const refinement = plan.refiner && refinerOf(plan.refiner).#refines(prompt, settings, plan)
    const work = { model: this.#model, plan, device: this.#device, signal, refinement }
    const generate = plan.hires === undefined ? generatePictures : generateLarger
    return generationOf(generate(work, this.#lender))
  }

  get #lender(): Lender {
    return { name: this.name, lend: variant => this.#lend(variant) }
  }

  /** What this model does to the pictures of another's plan, from the same settings but those of how they begin. */
  #refines(prompt: string, settings: GenerateSettings, { width, height, seeds }: Plan): Refinement {
    const { image, mask, latents, strength, hires, refiner, refineFrom, seed, count, ...others } = settings
    const plan = planGeneration(this.#model, prompt, { ...others, width, height, seeds: [...seeds] })
    return { model: this.#model, plan, device: this.#device, lender: this.#lender }
  }

  /**
   * Latents of a picture, their mean: a generation starts from them by the setting `latents`. The picture's sides must be
   * of a size that the model can paint. By tiles of a side in pixels it takes less memory.
   *
   * @throws LatentkitError for another size, and where the model's file holds no encoder.
   * @example
   * const latents = await model.encode(await decodeImage(bytes))
   */
  async encode(image: Image, { signal, tile }: FirstStageOptions = {}): Promise<Latents> {
    await using parts = await this.#lend(this.#tiled(image, tile))
    const { data, shape } = await encode({ model: this.#model, parts: parts.value, signal }, flatten(image))
    return { data, shape }
  }

  /**
   * The picture of latents; by tiles of a side in pixels it takes less memory.
   *
   * @throws LatentkitError for latents of another shape than the model's.
   * @example
   * const image = await model.decode(latents)
   */
  async decode(latents: Latents, { signal, tile }: FirstStageOptions = {}): Promise<Image> {
    const factor = factorOf(this.config)
    const [, height, width] = latents.shape.map(side => side * factor) as [number, number, number]
    const variant = this.#tiled({ width, height }, tile)
    checkLatents(latents, latentShape(this.config, variant))
    await using parts = await this.#lend(variant)
    const [picture] = await decode({ parts: parts.value, signal }, variant, [latents.data])
    return picture!
  }

  #tiled(size: Size, tile: number | undefined): Variant {
    const { width, height } = checkSides(this.config, size)
    if (tile !== undefined) checkSide(this.config, 'tile', tile)
    return { width, height, ...seeingVariantOf({ width, height, tile }) }
  }

  #lend(variant: Variant): Promise<Lease<Parts>> {
    return this.#parts.lease(JSON.stringify(variant), async () => partsOf(this.config, variant, this.#compile))
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

function refinerOf(given: object): Model {
  if (given instanceof Model) return given
  throw new LatentkitError('generate: refiner is no model of this copy of latentkit; take what its load gives')
}
