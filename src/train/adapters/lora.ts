import { lowRank } from '../../nn/low-rank.js'
import { checkpointModel } from '../../pipelines/loading/checkpoint-model.js'
import { LatentkitError } from '../../platform/errors.js'
import { type Parameter, type Program, reparameterise } from '../../tensor/program.js'
import { concat, split } from '../../tensor/slice.js'
import type { UnetConfig } from '../../unet/config.js'
import {
  type AdapterLayout,
  adapterTensors,
  type ModuleNames,
  moduleNames,
  openClipModules,
  type TrainedLayer,
  type WeightPlace,
} from '../../weights/adapters/index.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import { fromFloat32, toFloat32 } from '../../weights/dtypes.js'
import { writeSafetensors } from '../../weights/safetensors.js'
import type { TrainEvent } from '../events.js'
import { type FineTuneOptions, fineTune } from './fine-tune.js'
import type { LoraRecipe } from './recipes.js'

type LoraSettings = LoraRecipe['lora']

const moduleOf = (weight: string): string => weight.replace(/\.weight$/, '')
const unetPrefix = 'model.diffusion_model.'
/** Rows that are looked up are no layer. */
const table = /(token|pos|position)_emb|label_emb\.weight$/

/** A layer that a LoRA changes: a weight, or one of the three projections that OpenCLIP keeps in one. */
interface Target extends WeightPlace {
  readonly names: ModuleNames
}

/** The layers of a model that a LoRA changes, by the names that its own file has for them. */
function loraTargets(base: Checkpoint, { target, text_encoder }: LoraSettings): Map<string, Target> {
  const { config } = checkpointModel(base)
  const wanted = new RegExp(target)
  const targets = new Map(
    [...layersOf(base, config.unet_config!)].filter(
      ([module, { weight }]) =>
        base.weights.get(weight)!.shape.length > 1 &&
        (text_encoder || weight.startsWith(unetPrefix)) &&
        wanted.test(module) &&
        !table.test(weight),
    ),
  )
  if (targets.size === 0) {
    const some = [...base.weights.keys()].find(name => /input_blocks.*(attn|qkv).*weight/.test(name)) ?? 'none'
    throw new LatentkitError(
      `Cannot train a LoRA of ${base.name}: no layer matches ${target}; one of its layers is ${some}`,
    )
  }
  return targets
}

function* layersOf({ weights }: Checkpoint, unet: UnetConfig): Generator<[string, Target]> {
  for (const [weight, names] of moduleNames(weights.keys(), unet)) yield [moduleOf(weight), { weight, names }]
  // Each comes by diffusers' name, then by kohya's; the first serves here as well.
  const [...named] = openClipModules(weights.keys())
  for (let i = 0; i < named.length; i += 2) {
    const [[diffusers, place], [kohya]] = [named[i]!, named[i + 1]!]
    yield [diffusers, { ...place, names: { compvis: diffusers, diffusers, kohya } }]
  }
}

/** Puts low-rank changes of the named layers into a program. */
function withLora(
  targets: ReadonlyMap<string, WeightPlace>,
  { rank, alpha, decompose }: LoraSettings,
): (program: Program) => Program {
  const modules = new Map<string, [module: string, third: number | undefined][]>()
  for (const [module, { weight, third }] of targets)
    modules.set(weight, [...(modules.get(weight) ?? []), [module, third]])
  const options = { rank, decompose, ...(alpha !== undefined && { alpha }) }
  return program =>
    reparameterise(program, (at, { name, tensor }: Parameter) => {
      const found = modules.get(name)
      if (found === undefined) return undefined
      if (found[0]![1] === undefined) return lowRank(at(found[0]![0]), tensor, options)
      const parts = split(tensor, 3, { axis: 0 })
      for (const [module, third] of found) parts[third!] = lowRank(at(module), parts[third!]!, options)
      return concat(parts, { axis: 0 })
    })
}

/**
 * Trains a LoRA (or DoRA) of a model, which stays as it is. Beside the checkpoint it writes the files that other tools
 * load: `….kohya.safetensors` and `….diffusers.safetensors`.
 *
 * Throws as all training does; LatentkitError where no layer is meant.
 */
export async function* trainLora(options: FineTuneOptions<LoraRecipe>): AsyncGenerator<TrainEvent> {
  const { base, recipe, path } = options
  const { rank, alpha = rank, decompose } = recipe.lora
  const { config, conditions } = checkpointModel(base)
  const targets = loraTargets(base, recipe.lora)

  const names = new Map([...targets].map(([module, { names }]) => [module, names]))

  async function publish(values: ReadonlyMap<string, Float32Array>): Promise<undefined> {
    const layers = new Map<string, TrainedLayer>()
    for (const [module, { weight, third }] of targets) {
      // Layers behind the one whose output counts are no part of the program.
      if (!values.has(`${module}.lora_down.weight`)) continue
      const [rows, ...rest] = base.weights.get(weight)!.shape as [number, ...number[]]
      const out = third === undefined ? rows : rows / 3
      const single = rest.slice(1).map(() => 1)
      const part = (name: string, shape: readonly number[]) => ({ shape, data: values.get(`${module}.${name}`)! })
      layers.set(module, {
        alpha,
        down: part('lora_down.weight', [rank, ...rest]),
        up: part('lora_up.weight', [out, rank, ...single]),
        magnitude: values.get(`${module}.dora_scale`),
      })
    }
    for (const layout of ['kohya', 'diffusers'] satisfies AdapterLayout[])
      await writeSafetensors(
        path.replace(/\.safetensors$/, `.${layout}.safetensors`),
        adapterTensors(layers, names, layout),
        new Map([['format', 'pt']]),
      )
  }

  const begin = decompose ? await magnitudes(base, targets) : undefined
  const adapt = withLora(targets, recipe.lora)
  const scale = fromFloat32(Float32Array.of(alpha), [])
  const also = new Map([...targets.keys()].map(module => [`${module}.alpha`, scale]))
  yield* fineTune(options, { config, reader: conditions, adapt, also, publish, ...(begin && { begin }) })
}

/** Lengths of the weights of each output, with which a DoRA starts. */
async function magnitudes(base: Checkpoint, targets: ReadonlyMap<string, WeightPlace>) {
  const lengths = new Map<string, Float32Array>()
  for (const [module, { weight, third }] of targets) {
    const tensor = await base.read(weight)
    const [rows] = tensor.shape as [number]
    const numbers = toFloat32(tensor)
    const width = numbers.length / rows
    const length = (row: number) =>
      Math.sqrt(numbers.subarray(row * width, (row + 1) * width).reduce((s, v) => s + v * v, 0))
    const out = third === undefined ? rows : rows / 3
    lengths.set(
      `${module}.dora_scale`,
      Float32Array.from({ length: out }, (_, row) => length(out * (third ?? 0) + row)),
    )
  }
  return lengths
}
