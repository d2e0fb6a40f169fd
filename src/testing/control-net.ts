import { trace } from '../tensor/program.js'
import { f32 } from '../tensor/tensor.js'
import { contextWidth, type UnetConfig } from '../unet/config.js'
import { controlNet } from '../unet/control-net.js'
import { fromFloat32 } from '../weights/dtypes.js'
import { encodeSafetensors } from '../weights/safetensors.js'
import { drawnParameters } from './parameters.js'

/** A ControlNet of the original's names beside a UNet, for hints so many times as large as latents; its numbers times `by`. */
export function controlNetFile(
  config: UnetConfig,
  factor: number,
  by: (parameter: string) => number = () => 1,
): Uint8Array {
  const width = contextWidth(config)
  const specs = {
    x: f32(1, config.in_channels, 8, 8),
    t: f32(1),
    hint: f32(1, 3, 8 * factor, 8 * factor),
    ...(width !== undefined && { context: f32(1, 4, width) }),
  }
  const program = trace(specs, (at, given) =>
    Object.fromEntries(controlNet(at('control_model'), config, given as never).map((h, i) => [`${i}`, h])),
  )
  const tensors = Object.entries(drawnParameters(program)).map(
    ([name, { data, shape }]) =>
      [
        name,
        fromFloat32(
          Float32Array.from(data, v => v * by(name)),
          shape,
        ),
      ] as const,
  )
  return encodeSafetensors(new Map(tensors))
}
