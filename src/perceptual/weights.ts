import { openSource } from '#platform'
import { openSafetensors, type SafetensorsFile } from '../weights/safetensors.js'

/** Opens the weights of SqueezeNet 1.1 that come with latentkit, trained on ImageNet; names as torchvision has them. */
export async function openSqueezenet(): Promise<SafetensorsFile> {
  return openSafetensors(await openSource(new URL('../../models/squeezenet1_1_features.safetensors', import.meta.url)))
}
