import { lowRank } from '../../nn/low-rank.js'
import { checkpointModel } from '../../pipelines/checkpoint-model.js'
import { LatentkitError } from '../../platform/errors.js'
import { type Parameter, type Program, reparameterise } from '../../tensor/program.js'
import {
  type AdapterLayout,
  adapterTensors,
  type ModuleNames,
  moduleNames,
  type TrainedLayer,
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

/** The weights of a model that a LoRA changes, with the names of their modules elsewhere. */
export function loraTargets(base: Checkpoint, { target, text_encoder }: LoraSettings): Map<string, ModuleNames> {
  const { config } = checkpointModel(base)
  const wanted = new RegExp(target)
  const targets = new Map(
    [...moduleNames(base.weights.keys(), config.unet_config!)].filter(
      ([name]) =>
        base.weights.get(name)!.shape.length > 1 &&
        (text_encoder || name.startsWith(unetPrefix)) &&
        wanted.test(moduleOf(name)) &&
        !table.test(name),
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

/** Puts low-rank changes of the named weights into a program. */
export const withLora =
  (targets: ReadonlyMap<string, unknown>, { rank, alpha, decompose }: LoraSettings) =>
  (program: Program): Program =>
    reparameterise(program, (at, { name, tensor }: Parameter) =>
      targets.has(name)
        ? lowRank(at(moduleOf(name)), tensor, { rank, decompose, ...(alpha !== undefined && { alpha }) })
        : undefined,
    )

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

  async function publish(values: ReadonlyMap<string, Float32Array>): Promise<undefined> {
    const layers = new Map<string, TrainedLayer>()
    for (const weight of targets.keys()) {
      const module = moduleOf(weight)
      // Layers behind the one whose output counts are no part of the program.
      if (!values.has(`${module}.lora_down.weight`)) continue
      const [out, ...rest] = base.weights.get(weight)!.shape as [number, ...number[]]
      const single = rest.slice(1).map(() => 1)
      const part = (name: string, shape: readonly number[]) => ({ shape, data: values.get(`${module}.${name}`)! })
      layers.set(weight, {
        alpha,
        down: part('lora_down.weight', [rank, ...rest]),
        up: part('lora_up.weight', [out, rank, ...single]),
        magnitude: values.get(`${module}.dora_scale`),
      })
    }
    for (const layout of ['kohya', 'diffusers'] satisfies AdapterLayout[])
      await writeSafetensors(
        path.replace(/\.safetensors$/, `.${layout}.safetensors`),
        adapterTensors(layers, targets, layout),
        new Map([['format', 'pt']]),
      )
  }

  const begin = decompose ? await magnitudes(base, targets.keys()) : undefined
  const adapt = withLora(targets, recipe.lora)
  const scale = fromFloat32(Float32Array.of(alpha), [])
  const also = new Map([...targets.keys()].map(weight => [`${moduleOf(weight)}.alpha`, scale]))
  yield* fineTune(options, { config, reader: conditions, adapt, also, publish, ...(begin && { begin }) })
}

/** Lengths of the weights of each output, with which a DoRA starts. */
async function magnitudes(base: Checkpoint, weights: Iterable<string>): Promise<Map<string, Float32Array>> {
  const lengths = new Map<string, Float32Array>()
  for (const name of weights) {
    const tensor = await base.read(name)
    const [out] = tensor.shape as [number]
    const numbers = toFloat32(tensor)
    const width = numbers.length / out
    const length = (row: number) =>
      Math.sqrt(numbers.subarray(row * width, (row + 1) * width).reduce((s, v) => s + v * v, 0))
    lengths.set(
      `${moduleOf(name)}.dora_scale`,
      Float32Array.from({ length: out }, (_, row) => length(row)),
    )
  }
  return lengths
}
