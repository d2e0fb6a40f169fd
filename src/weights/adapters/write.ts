import { fromFloat32 } from '../dtypes.js'
import type { TensorToWrite } from '../safetensors.js'
import type { ModuleNames } from './names.js'

/** What was trained for one weight. */
export interface TrainedLayer {
  readonly down: Numbers
  readonly up: Numbers
  readonly alpha: number
  /** Lengths of the outputs' weights, where they are trained apart (DoRA). */
  readonly magnitude?: Float32Array | undefined
}

interface Numbers {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** Whose names a file has: those of kohya's scripts and the web interfaces, or those of diffusers and PEFT. */
export type AdapterLayout = 'kohya' | 'diffusers'

/**
 * The tensors of a trained adapter in a layout that other tools load.
 *
 * diffusers takes alpha for the rank, so its scale goes into `lora_B`.
 *
 * @param modules what the layouts call each weight's module
 */
export function adapterTensors(
  layers: ReadonlyMap<string, TrainedLayer>,
  modules: ReadonlyMap<string, ModuleNames>,
  layout: AdapterLayout,
): Map<string, TensorToWrite> {
  const tensors = new Map<string, TensorToWrite>()
  const put = (name: string, data: Float32Array, shape: readonly number[]) =>
    tensors.set(name, fromFloat32(data, shape))
  for (const [weight, { down, up, alpha, magnitude }] of layers) {
    const names = modules.get(weight)
    if (names === undefined)
      throw new RangeError(`There is no name for an adapter of "${weight}" in other tools' files`)
    const single = down.shape.slice(2).map(() => 1)
    if (layout === 'kohya') {
      put(`${names.kohya}.lora_down.weight`, down.data, down.shape)
      put(`${names.kohya}.lora_up.weight`, up.data, up.shape)
      put(`${names.kohya}.alpha`, Float32Array.of(alpha), [])
      if (magnitude) put(`${names.kohya}.dora_scale`, magnitude, [magnitude.length, 1, ...single])
    } else {
      const scale = alpha / down.shape[0]!
      put(`${names.diffusers}.lora_A.weight`, down.data, down.shape)
      put(
        `${names.diffusers}.lora_B.weight`,
        up.data.map(v => v * scale),
        up.shape,
      )
      const shape = single.length === 0 ? [] : [1]
      if (magnitude) put(`${names.diffusers}.lora_magnitude_vector`, magnitude, [...shape, magnitude.length, ...single])
    }
  }
  return tensors
}
