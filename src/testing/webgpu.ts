import { existsSync } from 'node:fs'
import { type Device, type DeviceOptions, openDevice } from '../runtime/index.js'

const swiftShader = '/usr/lib/chromium/vk_swiftshader_icd.json'

/** WebGPU in Node, by Chromium's software adapter where that is installed; else why there is none. */
export async function openWebgpu(options: DeviceOptions = {}): Promise<Device | string> {
  if (existsSync(swiftShader)) process.env.VK_ICD_FILENAMES ??= swiftShader
  return openDevice('webgpu', options).catch((error: Error) => error.message)
}
