import { openSource } from '#platform'
import { LatentkitError } from '../platform/errors.js'
import type { SourceLike } from '../platform/types.js'
import { fromFloat32, type TensorData } from '../weights/dtypes.js'
import { openWeights } from '../weights/open-weights.js'
import { openSafetensors, type SafetensorsFile } from '../weights/safetensors.js'
import { PIXEL_DEVIATION, PIXEL_MEAN } from './pixels.js'

/** Opens the weights of SqueezeNet 1.1 that come with latentkit, trained on ImageNet; names as torchvision has them. */
export async function openSqueezenet(): Promise<SafetensorsFile> {
  return openSafetensors(await openSource(new URL('../../models/squeezenet1_1_features.safetensors', import.meta.url)))
}

/**
 * What `lpips` calls a tensor of a published file: torchvision's networks (`features.0.weight`), the heads of LPIPS
 * (`lin0.model.1.weight`) and both in one (`net.slice1.0.weight`); undefined for what LPIPS does not use.
 */
export function lpipsName(name: string): string | undefined {
  const plain = name.replace(/^module\./, '').replace(/^net\.slice\d+\./, 'features.')
  return /^(features|lin\d+\.model|scaling_layer)\./.test(plain) ? plain : undefined
}

/**
 * Reads what LPIPS needs from files as published: a network of torchvision's with heads beside it, or both in one file.
 *
 * @throws FileError for files that cannot be read, LatentkitError where nothing in them belongs to LPIPS.
 * @example
 * const weights = await openLpips(['vgg16-397923af.pth', 'lpips/weights/v0.1/vgg.pth'])
 */
export async function openLpips(files: readonly SourceLike[]): Promise<ReadonlyMap<string, TensorData>> {
  const scaled = (numbers: readonly number[]) => fromFloat32(Float32Array.from(numbers), [1, 3, 1, 1])
  const found = new Map<string, TensorData>()
  for (const from of files) {
    const file = await openWeights(from)
    try {
      const names = [...file.tensors.keys()].flatMap(name => lpipsName(name) ?? []).length
      if (names === 0) {
        throw new LatentkitError(
          `${file.name} holds nothing of LPIPS, wanted tensors such as "features.0.weight" of torchvision's VGG16, AlexNet or SqueezeNet 1.1, or the heads "lin0.model.1.weight"`,
        )
      }
      for (const name of file.tensors.keys()) {
        const ours = lpipsName(name)
        if (ours !== undefined) found.set(ours, await file.read(name))
      }
    } finally {
      await file.close()
    }
  }
  return new Map([
    ['scaling_layer.shift', found.get('scaling_layer.shift') ?? scaled(PIXEL_MEAN)],
    ['scaling_layer.scale', found.get('scaling_layer.scale') ?? scaled(PIXEL_DEVIATION)],
    ...found,
  ])
}
